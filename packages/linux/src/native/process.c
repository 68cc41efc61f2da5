/* What a process that memory reclaim depends on must tell the kernel. */
#define _GNU_SOURCE
#include "addon.h"
#include <errno.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

/* setIoFlusher(on) */
napi_value set_io_flusher(napi_env env, napi_callback_info info) {
  napi_value arguments[1];
  bool on;
  if (begin(env, info, 1, arguments) == NULL || !read_boolean(env, arguments[0], "on", &on)) return NULL;
  return number(env, prctl(PR_SET_IO_FLUSHER, (unsigned long)on, 0ul, 0ul, 0ul) == 0 ? 0 : -errno);
}

/* Locks what is loaded of one file. Gives an errno. */
static int lock_file(struct dl_phdr_info *file, size_t size, void *page_size) {
  (void)size;
  uintptr_t mask = *(uintptr_t *)page_size - 1;
  for (int i = 0; i < file->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &file->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || part->p_memsz == 0) continue;
    uintptr_t start = (file->dlpi_addr + part->p_vaddr) & ~mask;
    uintptr_t end = (file->dlpi_addr + part->p_vaddr + part->p_memsz + mask) & ~mask;
    if (mlock((void *)start, end - start) != 0) return errno;
  }
  return 0;
}

/* lockMemory(): the program and its libraries. Not all of the process (mlockall): V8 gives pages back with
 * MADV_DONTNEED and ends the process when that fails, as it does on locked ones. */
napi_value lock_memory(napi_env env, napi_callback_info info) {
  if (begin(env, info, 0, NULL) == NULL) return NULL;
  uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
  return number(env, -dl_iterate_phdr(lock_file, &page_size));
}
