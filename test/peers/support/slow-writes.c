/* Loaded before the C library: the first write whose data begins with 'S' waits until the file SLOW_WRITES.go is
   there. SLOW_WRITES.begun tells that it waits, SLOW_WRITES.done that it has been executed. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static const char *file(const char *end, char *path, size_t size) {
  snprintf(path, size, "%s.%s", getenv("SLOW_WRITES"), end);
  return path;
}

static void tell(const char *end) {
  char path[4096];
  close(open(file(end, path, sizeof path), O_CREAT | O_WRONLY, 0600));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  static int met;
  char path[4096];
  if (real == NULL) real = dlsym(RTLD_NEXT, "pwrite64");
  if (size < 512 || *(const char *)data != 'S' || __sync_fetch_and_add(&met, 1) > 0) return real(fd, data, size, offset);
  tell("begun");
  while (access(file("go", path, sizeof path), F_OK) != 0) usleep(1000);
  ssize_t result = real(fd, data, size, offset);
  tell("done");
  return result;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }
