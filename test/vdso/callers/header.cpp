// The header as C++ sees it, old C++ too.
#include "kvmclock.h"

static kvmclock_line line = KVMCLOCK_LINE_INIT;

extern "C" uint64_t read_it(const void *records) {
  uint64_t ns = kvmclock_read_cached(records, &line);
  return ns == KVMCLOCK_UNSTABLE ? kvmclock_now() : ns;
}
