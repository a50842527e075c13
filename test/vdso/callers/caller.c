/* Linked against kvmclock.so: calls its functions on a record of its own and, given where the live one is, on that.
 * Arguments: the name of a mapping and an offset in it. Prints JSON. */
#define _POSIX_C_SOURCE 199309L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* Bases of clocks that stand still at 7 s and 5 ns; then what the kernel alone knows. */
static void clocks(void) {
  static struct kvmclock_base bases[KVMCLOCK_BASES];
  struct kvmclock_sample sample = {KVMCLOCK_MODE_TSC, CLOCK_REALTIME, 0, 0, 0, 0};
  struct timespec time = {0, 0};
  uint32_t asked = 0;
  int clock;
  for (clock = 0; clock < KVMCLOCK_BASES; clock++) {
    bases[clock].mode = KVMCLOCK_MODE_COARSE;
    bases[clock].sec = 7;
    bases[clock].shifted_nsec = (uint64_t)5 << 20;
    bases[clock].shift = 20;
  }
  kvmclock_attach_bases(bases, &asked, NULL);
  printf("\"clocks\":[%lu,%lu,%lu,%lu,", (unsigned long)kvmclock_realtime(), (unsigned long)kvmclock_monotonic(),
         (unsigned long)kvmclock_boottime(), (unsigned long)kvmclock_monotonic_raw());
  printf("%.17g,%.17g,%.17g,%.17g],", kvmclock_realtime_ns(), kvmclock_monotonic_ns(), kvmclock_boottime_ns(),
         kvmclock_monotonic_raw_ns());
  printf("\"gettime\":[%d,", kvmclock_clock_gettime(CLOCK_REALTIME, &time));
  printf("%ld,%ld,%u,", (long)time.tv_sec, (long)time.tv_nsec, asked);
  printf("%d,", kvmclock_clock_gettime(-1, &time));
  printf("%u],", asked);
  printf("\"sample\":[%d,", kvmclock_sample(&sample));
  printf("%d,%d,%d],", sample.before < sample.after, sample.after < kvmclock_counter(KVMCLOCK_MODE_TSC), sample.sec > 7);
  printf("\"noCounter\":%d,", kvmclock_counter(KVMCLOCK_MODE_NONE) == KVMCLOCK_UNSTABLE);
  kvmclock_attach_bases(NULL, NULL, NULL);
  printf("\"kernel\":%d,", kvmclock_realtime() > (uint64_t)sample.sec * 1000000000);
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
  clocks();
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
