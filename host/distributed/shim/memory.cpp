// What the C library does with memory that libtorch frees: kept for the next tensor, and on huge pages.
#include "outcome.h"

#include <climits>
#include <cstdlib>

#ifdef __GLIBC__
#include <malloc.h>
#endif

extern "C" {

// To be called before the process has other threads, which might read the environment, and before the first tensor:
// libtorch looks at the variable once.
int32_t prorl_memory_keep(Message message) {
  if (setenv("THP_MEM_ALLOC_ENABLE", "1", /*overwrite=*/0) != 0) {
    return failed(message, "the environment cannot be changed");
  }
#ifdef __GLIBC__
  // Without these, tensors above a few MiB are mapped and unmapped each time, and the system clears every page anew.
  if (mallopt(M_MMAP_MAX, 0) == 0 || mallopt(M_TRIM_THRESHOLD, INT_MAX) == 0) {
    return failed(message, "the C library refused to keep freed memory");
  }
#endif
  return 0;
}

// Gives freed memory back to the system.
void prorl_memory_release() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}
}
