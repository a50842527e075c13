/* Linked against kvmclock.so: calls its functions on a record of its own and, given where the live one is, on that.
 * Arguments: the name of a mapping and an offset in it. Prints JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kvmclock.h"

static unsigned char records[64 * KVMCLOCK_RECORD_BYTES];

/* A record that stands still at `ns`, for every vCPU. */
static void set(uint32_t version, uint64_t ns, unsigned char flags) {
  int vcpu;
  memset(records, 0, sizeof records);
  for (vcpu = 0; vcpu < 64; vcpu++) {
    unsigned char *record = records + vcpu * KVMCLOCK_RECORD_BYTES;
    memcpy(record, &version, 4);
    memcpy(record + 16, &ns, 8);
    record[29] = flags;
  }
}

static char *mapped(const char *name, unsigned long offset) {
  char text[512];
  unsigned long start = 0;
  FILE *maps = fopen("/proc/self/maps", "r");
  if (maps == NULL) return NULL;
  while (fgets(text, sizeof text, maps) != NULL) {
    if (strstr(text, name) != NULL) {
      start = strtoul(text, NULL, 16);
      break;
    }
  }
  fclose(maps);
  return start == 0 ? NULL : (char *)start + offset;
}

static void print(const char *name, uint64_t value) { printf("\"%s\":\"%lu\",", name, (unsigned long)value); }

int main(int argc, char **argv) {
  struct kvmclock_line line = KVMCLOCK_LINE_INIT;
  const uint64_t huge = ((uint64_t)1 << 63) + 1025;
  const void *live;
  printf("{");
  set(2, 12345, 1);
  print("attach", (uint64_t)kvmclock_attach(records));
  print("now", kvmclock_now());
  print("relaxed", kvmclock_now_relaxed());
  print("before", kvmclock_read_before(records));
  print("rfc", kvmclock_read_rfc(records));
  print("landed", kvmclock_read_landed(records));
  print("cached", kvmclock_read_cached(records, &line));
  print("cachedAgain", kvmclock_read_cached(records, &line));
  print("readRelaxed", kvmclock_read_relaxed(records));
  print("at", kvmclock_at(records, kvmclock_rdtsc()));
  set(4, huge, 1);
  printf("\"nowNs\":%.17g,\"relaxedNs\":%.17g,", kvmclock_now_ns(), kvmclock_now_relaxed_ns());
  set(6, 12345, 0);
  print("unstable", kvmclock_read_landed(records));
  print("anchor", (uint64_t)kvmclock_anchor());
  print("detach", (uint64_t)kvmclock_attach(NULL));
  print("tscs", kvmclock_rdtsc_lfence() <= kvmclock_rdtsc_ordered());
  print("vcpu", kvmclock_vcpu() < 64);
  live = argc > 2 ? mapped(argv[1], strtoul(argv[2], NULL, 10)) : NULL;
  printf("\"live\":[");
  if (live != NULL) {
    kvmclock_attach(live);
    printf("\"%lu\",", (unsigned long)kvmclock_now());
    printf("\"%lu\",", (unsigned long)kvmclock_read_landed(live));
    printf("\"%lu\"", (unsigned long)kvmclock_now());
  }
  printf("]}\n");
  return 0;
}
