/** The rules of the world in Promela: who may move, and what a finished call is held against. */

export const PROMELA_ACTORS = `
/* A vCPU enters the guest: its own record, as its own processor sees it, is what it is told. */
inline enter(vcpu)
{
  answer = 0;
  edge = tells[vcpu];
  do
  :: edge < tells[vcpu + 1] ->
     look(vcpu, told_cell[edge]);
     answer = answer * told_count[edge] + seen;
     edge++
  :: else -> break
  od;
  told[vcpu] = told_by[tells_at[vcpu] + answer];
  found = (stamp[told[vcpu]] > 0 -> UPDATED : 0);
  show_found()
}

/* A thread with a processor of its own: when a vCPU's function returns, it begins again; others go on to what is next. */
inline move(t)
{
  found = 0;
  here = ANY;
  operate(t, t, 0, 0);
  if
  :: does[node[t]] == DONE -> node[t] = with[node[t]]
  :: does[node[t]] == LEAVE -> enter(t)
  :: else
  fi
}

proctype own_processor(byte p)
{
end:
  do
  :: d_step { does[node[p]] != END && CAN(node[p], p) -> at = node[p]; move(p) }
  od
}

/* Something that a vCPU's thread does once, between two stretches. */
proctype once_only(byte which, own; NODE begins, begins_once)
{
end:
  do
  :: d_step {
       !done_once[which] && node[own] == begins && CAN(begins_once, own) ->
       done_once[which] = true;
       at = begins_once;
       move(own)
     }
  od
}

#define HERE(g) (node[PROCESSORS + g] == 0 -> call[g * (CALLS + 1) + calls[g]] : node[PROCESSORS + g])

/* Guest thread g runs on vCPU v, for one operation, where that is in guest mode. */
proctype guest(byte g, v)
{
end:
  do
  :: d_step {
       does[node[v]] == LEAVE && HERE(g) != 0 && (pin[HERE(g)] == ANY || pin[HERE(g)] == v) && CAN(HERE(g), v) ->
       found = 0;
       at = HERE(g);
       here = v;
       if
       :: node[PROCESSORS + g] == 0 ->   /* the call begins */
          floor_stamp[g] = stamp[told[v]];
          floor_time[g] = latest
       :: else
       fi;
       operate(PROCESSORS + g, v, v, g);
       if
       :: does[node[PROCESSORS + g]] == DONE ->   /* and has come to its end */
          answer = with[node[PROCESSORS + g]];
          found = found | shows[answer];
          found = found | (time_of[answer] > 0 && time_of[answer] < floor_time[g] -> BACKWARDS : 0);
          found = found | (used_bit[answer] > 0 && used_bit[answer] <= floor_stamp[g] -> STALE_BEGIN : 0);
          found = found | (used_bit[answer] > 0 && used_bit[answer] <= stamp[told[v]] -> STALE_USE : 0);
          latest = (time_of[answer] > latest -> time_of[answer] : latest);
          floor_stamp[g] = 0;
          floor_time[g] = 0;
          calls[g]++;
          node[PROCESSORS + g] = 0
       :: else
       fi;
       show_found()
     }
  od
}

#if TSO
/* The oldest store of a buffer reaches memory. */
proctype drain(byte p)
{
end:
  do
  :: d_step {
       length[p] > 0 ->
       where = buffered_cell[p * CAPACITY];
       seen = buffered_value[p * CAPACITY];
       c_code { if (readtrail) printf("memory: %s: %s\\n", variable[where], text[texts_0[where] + seen]); };
       cell[where] = seen;
       length[p]--;
       i = 0;
       do
       :: i < length[p] ->
          buffered_cell[p * CAPACITY + i] = buffered_cell[p * CAPACITY + i + 1];
          buffered_value[p * CAPACITY + i] = buffered_value[p * CAPACITY + i + 1];
          i++
       :: else -> break
       od;
       buffered_cell[p * CAPACITY + length[p]] = 0;
       buffered_value[p * CAPACITY + length[p]] = 0
     }
  od
}
#endif

proctype time_passes()
{
end:
  do
  :: d_step { tick < TICKS -> tick++ }
  od
}
`;
