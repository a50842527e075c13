/**
 * The rules of the world in Promela: what a state is, and what an operation does to it. Told here once more, apart from the explorer,
 * and with no step made longer or left out: Spin's search is its own. What they look up is written before them by promela.ts.
 */

export const PROMELA_OPERATIONS = `
byte cell[CELLS];           /* what memory holds: numbers of values; own cells of guest threads behind the shared ones */
NODE node[THREADS];         /* hosts, then others, then guest threads */
byte told[HOSTS];           /* what a vCPU's own record said when it entered the guest; 0 while it is out */
byte calls[GUESTS];         /* calls done */
byte floor_stamp[GUESTS];   /* of the call in progress: the update that its vCPU had been told of when it began ... */
byte floor_time[GUESTS];    /* ... and the latest time that had been returned */
byte latest;
byte tick;
bool done_once[ONCE];
#if TSO
byte length[PROCESSORS];    /* store buffers, the oldest entry first */
byte buffered_cell[PROCESSORS * CAPACITY];
byte buffered_value[PROCESSORS * CAPACITY];
#endif

/* Of no step but the one in hand. */
hidden int at, edge, answer, found;
hidden byte i, where, seen, here;
hidden byte waits, known_answer;

c_decl {
  static int shown;
  static void show(int bits)
  {
    int bit;
    for (bit = 0; 1 << bit <= bits; bit++)
      if (bits & ~shown & 1 << bit)
        printf("kvmclock: %s\\n", property[bit]), fflush(stdout);
    shown |= bits;
  }
  /* What a step does, where a trail is performed. */
  static void say(int who, int on, int what, int c, int v)
  {
    printf("%s", program[who]);
    if (on != ANY) printf(" on vCPU %d", on);
    if (what >= LOAD && what <= WAIT && what != FENCE) printf(": %s %s: %s\\n", word[what], variable[c], text[texts_0[c] + v]);
    else printf(": %s %d\\n", word[what], v);
  }
}

/* What a step has shown is printed when it is shown first; with -DSTOP=TORN (MIXED, ...) the search ends there. */
inline show_found() { c_code { if (!readtrail) show(found); }; assert((found & (STOP)) == 0) }

/* seen = what a processor sees in a cell */
inline look(by, spot)
{
  seen = cell[spot];
#if TSO
  i = 0;
  do
  :: i < length[by] ->
     if
     :: buffered_cell[by * CAPACITY + i] == spot -> seen = buffered_value[by * CAPACITY + i]
     :: else
     fi;
     i++
  :: else -> break
  od
#endif
}

inline put(by, spot, value)
{
#if TSO
  if
  :: spot >= SHARED -> cell[spot] = value
  :: else ->
     buffered_cell[by * CAPACITY + length[by]] = spot;
     buffered_value[by * CAPACITY + length[by]] = value;
     length[by]++
  fi
#else
  cell[spot] = value
#endif
}

/* A store needs room in the buffer; a fence, and what is atomic, waits until it is empty. */
#if TSO
#define CAN(n, p) ((does[n] != STORE && does[n] != COUNT || length[p] < CAPACITY) && (does[n] != FENCE && does[n] != UPDATE || length[p] == 0))
#else
#define CAN(n, p) true
#endif

/* A thread goes where its answer leads. */
inline follow(thread)
{
  edge = first[at] + answer;
  known_answer = (edge < first[at + 1] && to[edge] != 0);
  assert(known_answer);
  c_code { if (readtrail) say(whose[at], here, does[at], cell_of[at], does[at] == STORE ? with[at] : does[at] == COUNT || does[at] == UPDATE ? leaves[edge] : answer); };
  node[thread] = (to[edge] < NODES -> to[edge] : to[edge] - NODES);
  found = found | (to[edge] >= NODES && thread >= PROCESSORS -> RETRIED : 0)
}

/* What a thread does in memory of its own is no step: it belongs to the operation before. */
#define IN_OWN(n) ((does[n] == LOAD || does[n] == STORE) && cell_of[n] >= SHARED)

/* The operation at node \`at\` is done by a thread, through a processor, on a vCPU where it is a guest's thread. */
inline operate(thread, through, vcpu, owner)
{
  where = cell_of[at] + (cell_of[at] >= SHARED -> OWN_CELLS * (owner) : 0);
  waits = false;
  answer = 0;
  if
  :: does[at] == LOAD || does[at] == COUNT -> look(through, where); answer = seen
  :: does[at] == UPDATE -> answer = cell[where]
  :: does[at] == WAIT -> look(through, where); waits = (seen == with[at])
  :: does[at] == NUMBER -> answer = vcpu
  :: does[at] == TSC -> answer = reading[told[vcpu] * (TICKS + 1) + tick]
  :: does[at] == TIME -> answer = tick
  :: else
  fi;
  if
  :: waits
  :: else ->
     follow(thread);
     if
     :: does[at] == STORE -> put(through, where, with[at])
     :: does[at] == COUNT -> put(through, where, leaves[edge])
     :: does[at] == UPDATE -> cell[where] = leaves[edge]
     :: does[at] == LEAVE -> told[through] = 0
     :: else
     fi;
     do
     :: IN_OWN(node[thread]) ->
        at = node[thread];
        where = cell_of[at] + OWN_CELLS * (owner);
        answer = 0;
        if
        :: does[at] == LOAD -> answer = cell[where]
        :: else -> cell[where] = with[at]
        fi;
        follow(thread)
     :: else -> break
     od
  fi
}
`;
