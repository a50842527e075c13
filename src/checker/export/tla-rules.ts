/**
 * The rules of the world in TLA+, the same as in Promela: how an operation changes memory, who may move, what a finished
 * call is held against. What they look up is written before them by tla.ts.
 */

export const TLA_RULES = String.raw`
VARIABLES
  cell,        \* what memory holds: numbers of values; own cells of guest threads behind the shared ones
  buffer,      \* of each processor: stores that have not reached memory, the oldest first
  node,        \* of each thread (hosts, then others, then guest threads): where its automaton is; -1: nobody knows
  told,        \* of each vCPU: what its own record said when it entered the guest; 0 while it is out
  calls,       \* of each guest thread: calls done; of the call in progress:
  floorStamp,  \*   the update that its vCPU had been told of when it began,
  floorTime,   \*   and the latest time that had been returned
  latest, tick, doneOnce,
  found        \* what the last step has shown

vars == <<cell, buffer, node, told, calls, floorStamp, floorTime, latest, tick, doneOnce, found>>
call == <<calls, floorStamp, floorTime, latest>>

Processors == 0 .. Len(Begins) - 1
Vcpus == 0 .. HOSTS - 1
Guests == 0 .. Len(Calls) - 1
Thread(g) == Len(Begins) + g

Does(n) == IF n < 1 THEN "end" ELSE Nodes[n].does

\* What a processor with this buffer sees in cell c.
Look(memory, stores, c) ==
  LET own == SelectSeq(stores, LAMBDA store : store[1] = c)
  IN IF own = <<>> THEN memory[c] ELSE own[Len(own)][2]

\* Where an answer leads: below 0 round a loop; 0 where nobody knows.
Edge(op, answer) == IF answer < Len(op.next) THEN op.next[answer + 1] ELSE 0
To(edge) == IF edge = 0 THEN -1 ELSE IF edge < 0 THEN -edge ELSE edge

\* What a thread does in memory of its own is no step: it belongs to the operation before.
RECURSIVE InOwn(_, _, _, _)
InOwn(n, memory, g, retried) ==
  IF Does(n) \notin {"load", "store"} \/ Nodes[n].at < SHARED
  THEN [to |-> n, memory |-> memory, retried |-> retried]
  ELSE LET op == Nodes[n]
           c == op.at + OWN * g
           edge == Edge(op, IF op.does = "load" THEN memory[c] ELSE 0)
       IN InOwn(To(edge), IF op.does = "load" THEN memory ELSE [memory EXCEPT ![c] = op.with], g, retried \/ edge < 0)

\* The operation at node n, done through processor p, on vCPU v where it is guest thread g's.
Operation(n, p, v, g) ==
  LET op == Nodes[n]
      c == IF op.at < SHARED THEN op.at ELSE op.at + OWN * g
      seen == Look(cell, buffer[p], c)
      answer == CASE op.does \in {"load", "count"} -> seen
                  [] op.does = "update" -> cell[c]
                  [] op.does = "number" -> v
                  [] op.does = "tsc" -> Readings[told[v] + 1][tick + 1]
                  [] op.does = "time" -> tick
                  [] OTHER -> 0
      edge == Edge(op, answer)
      left == IF op.does = "store" THEN op.with ELSE IF edge = 0 THEN 0 ELSE op.left[answer + 1]
      delayed == TSO /\ c < SHARED /\ op.does \in {"store", "count"}
      writes == op.does \in {"store", "count", "update"} /\ ~delayed
      behind == InOwn(To(edge), IF writes THEN [cell EXCEPT ![c] = left] ELSE cell, g, edge < 0)
  IN [can |-> CASE op.does = "wait" -> seen # op.with
                [] op.does \in {"fence", "update"} -> buffer[p] = <<>>
                [] delayed -> Len(buffer[p]) < CAPACITY
                [] OTHER -> TRUE,
      to |-> behind.to,
      retried |-> behind.retried,
      memory |-> behind.memory,
      stores |-> IF delayed THEN [buffer EXCEPT ![p] = Append(@, <<c, left>>)] ELSE buffer,
      hears |-> IF op.does = "leave" THEN [told EXCEPT ![p] = 0] ELSE told]

\* What vCPU v is told as it enters the guest: its own record, as its own processor sees it.
RECURSIVE Place(_, _, _)
Place(cells, k, see) ==
  IF k = 0 THEN 0 ELSE Place(cells, k - 1, see) * cells[k][2] + see[k]
ToldNow(v, memory, stores) ==
  LET telling == Tellings[v + 1]
      see == [k \in DOMAIN telling.cells |-> Look(memory, stores, telling.cells[k][1])]
  IN telling.gives[Place(telling.cells, Len(telling.cells), see) + 1]

If(test, name) == IF test THEN {name} ELSE {}

\* A thread with a processor of its own. A vCPU's begins again when its function returns, others go on to what is next.
OwnProcessor(p) ==
  /\ Does(node[p]) # "end"
  /\ LET did == Operation(node[p], p, 0, 0)
         to == IF Does(did.to) = "done" THEN Nodes[did.to].with ELSE did.to
         enters == Does(to) = "leave"
         now == ToldNow(p, did.memory, did.stores[p])
     IN /\ did.can
        /\ cell' = did.memory
        /\ buffer' = did.stores
        /\ node' = [node EXCEPT ![p] = to]
        /\ told' = IF enters THEN [did.hears EXCEPT ![p] = now] ELSE did.hears
        /\ found' = If(enters /\ Stamps[now + 1] > 0, "updated")
  /\ UNCHANGED <<call, tick, doneOnce>>

\* Something that a vCPU's thread does once, between two stretches.
OnceOnly(i) ==
  /\ ~doneOnce[i]
  /\ node[Once[i].vcpu] = Begins[Once[i].vcpu + 1]
  /\ node' = [node EXCEPT ![Once[i].vcpu] = Once[i].goes]
  /\ doneOnce' = [doneOnce EXCEPT ![i] = TRUE]
  /\ found' = {}
  /\ UNCHANGED <<cell, buffer, told, call, tick>>

\* A guest thread runs on vCPU v, for one operation, where that is in guest mode.
Guest(g, v) ==
  LET begins == node[Thread(g)] = 0
      done == begins /\ calls[g] = Len(Calls[g + 1])
      n == IF begins THEN Calls[g + 1][calls[g] + 1] ELSE node[Thread(g)]
      stamp == IF begins THEN Stamps[told[v] + 1] ELSE floorStamp[g]
      time == IF begins THEN latest ELSE floorTime[g]
      did == Operation(n, v, v, g)
      ends == Does(did.to) = "done"
      outcome == Outcomes[Nodes[did.to].with + 1]
      shown == outcome.shows
        \union If(outcome.time > 0 /\ outcome.time < time, "backwards")
        \union If(outcome.bit >= 0 /\ outcome.bit < stamp, "stale-begin")
        \union If(outcome.bit >= 0 /\ outcome.bit < Stamps[told[v] + 1], "stale-use")
  IN /\ Does(node[v]) = "leave"
     /\ ~done /\ node[Thread(g)] # -1
     /\ Nodes[n].pin \in {-1, v}
     /\ did.can
     /\ cell' = did.memory
     /\ buffer' = did.stores
     /\ node' = [node EXCEPT ![Thread(g)] = IF ends THEN 0 ELSE did.to]
     /\ calls' = [calls EXCEPT ![g] = IF ends THEN @ + 1 ELSE @]
     /\ floorStamp' = [floorStamp EXCEPT ![g] = IF ends THEN 0 ELSE stamp]
     /\ floorTime' = [floorTime EXCEPT ![g] = IF ends THEN 0 ELSE time]
     /\ latest' = IF ends /\ outcome.time > latest THEN outcome.time ELSE latest
     /\ found' = If(did.retried, "retried") \union (IF ends THEN shown ELSE {})
     /\ UNCHANGED <<told, tick, doneOnce>>

\* The oldest store of a buffer reaches memory.
Drain(p) ==
  /\ buffer[p] # <<>>
  /\ cell' = [cell EXCEPT ![Head(buffer[p])[1]] = Head(buffer[p])[2]]
  /\ buffer' = [buffer EXCEPT ![p] = Tail(@)]
  /\ found' = {}
  /\ UNCHANGED <<node, told, call, tick, doneOnce>>

TimePasses ==
  /\ tick < TICKS
  /\ tick' = tick + 1
  /\ found' = {}
  /\ UNCHANGED <<cell, buffer, node, told, call, doneOnce>>

Init ==
  /\ cell = [c \in 0 .. SHARED + OWN * Len(Calls) - 1 |-> 0]
  /\ buffer = [p \in Processors |-> <<>>]
  /\ node = [t \in 0 .. Len(Begins) + Len(Calls) - 1 |-> IF t \in Processors THEN Begins[t + 1] ELSE 0]
  /\ told = [v \in Vcpus |-> 0]
  /\ calls = [g \in Guests |-> 0]
  /\ floorStamp = [g \in Guests |-> 0]
  /\ floorTime = [g \in Guests |-> 0]
  /\ latest = 0
  /\ tick = 0
  /\ doneOnce = [i \in DOMAIN Once |-> FALSE]
  /\ found = {}

Next ==
  \/ \E p \in Processors : OwnProcessor(p) \/ Drain(p)
  \/ \E i \in DOMAIN Once : OnceOnly(i)
  \/ \E g \in Guests, v \in Vcpus : Guest(g, v)
  \/ TimePasses

Spec == Init /\ [][Next]_vars

\* Every thread was answered what was known when this was exported. Where this is violated, no verdict counts.
KnownAnswer == \A t \in DOMAIN node : node[t] # -1

\* True of every step: prints what is shown first (by each worker).
ASSUME TLCSet(1, {})
Report ==
  \/ found' \subseteq TLCGet(1)
  \/ PrintT(<<"kvmclock", found' \ TLCGet(1)>>) /\ TLCSet(1, found' \union TLCGet(1))
State == <<cell, buffer, node, told, call, tick, doneOnce>>
`;
