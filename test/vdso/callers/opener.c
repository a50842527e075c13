/* Opens kvmclock.so by its path and looks up the names that it is given. Prints JSON: the time of a record that stands
 * still, and how many of the names there are. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "kvmclock.h"

/* ISO C has no cast from an object's address to a function's, so a pointer is written through its own address. */
#define FIND(object, name) *(void **)(&name##_) = dlsym(object, #name)

int main(int argc, char **argv) {
  __typeof__(kvmclock_attach) *kvmclock_attach_;
  __typeof__(kvmclock_now) *kvmclock_now_;
  unsigned char record[KVMCLOCK_RECORD_BYTES] = {2};
  const uint64_t ns = 12345;
  int found = 0;
  void *object = argc < 2 ? NULL : dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (object == NULL) {
    fprintf(stderr, "%s\n", argc < 2 ? "which object?" : dlerror());
    return 3;
  }
  FIND(object, kvmclock_attach);
  FIND(object, kvmclock_now);
  memcpy(record + 16, &ns, sizeof ns);
  record[29] = 1;
  for (int name = 2; name < argc; name++) found += dlsym(object, argv[name]) != NULL;
  kvmclock_attach_(record);
  printf("{\"now\":\"%lu\",\"found\":%d}\n", (unsigned long)kvmclock_now_(), found);
  return dlclose(object);
}
