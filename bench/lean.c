// A client of NBD exports on unix sockets that costs less than any server: requests are made once and sent again with
// a new place in them, whatever one read of the socket brought is answered with one write, payload is thrown away.
//   lean load SOCKET EXPORT SIZE read|randread|randwrite BLOCK DEPTH CONNECTIONS SECONDS
//   lean hold SOCKET EXPORT BLOCK CONNECTIONS
// load keeps DEPTH requests in flight on each connection and prints { ios, seconds, structured } at the end.
// hold writes and reads one block on each connection, says `held`, and keeps them until its standard input ends.
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { READ = 0, WRITE = 1, GO = 7, STRUCTURED = 8, DEPTH = 128 };
enum { SIMPLE_MAGIC = 0x67446698, STRUCTURED_MAGIC = 0x668e33ef };

struct __attribute__((packed)) request {
  uint32_t magic;
  uint16_t flags;
  uint16_t type;
  uint64_t handle;
  uint64_t offset;
  uint32_t length;
};

struct __attribute__((packed)) reply {
  uint32_t magic;
  union {
    struct __attribute__((packed)) {
      uint32_t error;
      uint64_t handle;
    } simple;
    struct __attribute__((packed)) {
      uint16_t flags;
      uint16_t type;
      uint64_t handle;
      uint32_t length;
    } chunk;
  };
};

struct connection {
  int socket;
  struct reply reply;
  // Bytes of the reply that are here, and bytes of payload that still come before the next one.
  uint32_t have;
  uint64_t skip;
  // Whether the request ends with that payload.
  int last;
  uint32_t inflight;
  uint64_t next;
};

static struct request requests[DEPTH];
static struct iovec parts[2 * DEPTH];
static char input[256 * 1024];
static char *payload;
static uint32_t block;
static uint64_t blocks, done, random_state = 88172645463325252ull;
static int op, jumps, structured;

static void fail(const char *what) {
  fprintf(stderr, "lean: %s: %s\n", what, errno ? strerror(errno) : "not what was expected");
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec / 1e9;
}

static void put(int to, const void *bytes, size_t length) {
  if (send(to, bytes, length, MSG_NOSIGNAL) != (ssize_t)length) fail("send");
}

static void get(int from, void *bytes, size_t length) {
  if (recv(from, bytes, length, MSG_WAITALL) != (ssize_t)length) fail("receive");
}

// Sends an option and takes its replies; whether the server agreed.
static int option(int to, uint32_t number, const void *data, uint32_t length) {
  struct __attribute__((packed)) { uint64_t magic; uint32_t option, length; } head = {
    htobe64(0x49484156454f5054ull), htobe32(number), htobe32(length) };
  put(to, &head, sizeof head);
  if (length > 0) put(to, data, length);
  for (;;) {
    struct __attribute__((packed)) { uint64_t magic; uint32_t option, type, length; } answer;
    get(to, &answer, sizeof answer);
    uint32_t size = be32toh(answer.length), type = be32toh(answer.type);
    if (size > sizeof input) fail("reply to an option");
    if (size > 0) get(to, input, size);
    // NBD_REP_INFO comes before the end.
    if (type != 3) return type == 1;
  }
}

static int dial(const char *path, const char *name) {
  struct sockaddr_un address = { .sun_family = AF_UNIX };
  strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  int to = socket(AF_UNIX, SOCK_STREAM, 0);
  if (to < 0 || connect(to, (struct sockaddr *)&address, sizeof address) != 0) fail(path);
  struct __attribute__((packed)) { uint64_t magic, version; uint16_t flags; } greeting;
  get(to, &greeting, sizeof greeting);
  // Fixed newstyle, no zeroes.
  uint32_t flags = htobe32(3);
  put(to, &flags, sizeof flags);
  structured = option(to, STRUCTURED, NULL, 0);
  char go[256] = { 0 };
  uint32_t length = strlen(name), big = htobe32(length);
  if (length > 200) fail("name of the export");
  memcpy(go, &big, 4);
  memcpy(go + 4, name, length);
  errno = 0;
  if (!option(to, GO, go, 4 + length + 2)) fail(name);
  return to;
}

static uint64_t place(struct connection *it) {
  if (!jumps) return it->next++ % blocks;
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state % blocks;
}

static void ask(struct connection *it, uint32_t count) {
  int each = op == WRITE ? 2 : 1;
  for (uint32_t i = 0; i < count; i++) {
    requests[i].magic = htobe32(0x25609513);
    requests[i].type = htobe16(op);
    requests[i].handle = 1;
    requests[i].length = htobe32(block);
    requests[i].offset = htobe64(place(it) * block);
    parts[i * each] = (struct iovec){ &requests[i], sizeof(struct request) };
    if (op == WRITE) parts[i * each + 1] = (struct iovec){ payload, block };
  }
  it->inflight += count;
  struct msghdr message = { .msg_iov = parts, .msg_iovlen = count * each };
  for (uint64_t left = (uint64_t)count * (sizeof(struct request) + (op == WRITE ? block : 0)); left > 0;) {
    ssize_t sent = sendmsg(it->socket, &message, MSG_NOSIGNAL);
    if (sent < 0) fail("send");
    left -= sent;
    while (sent > 0 && (size_t)sent >= message.msg_iov->iov_len) {
      sent -= message.msg_iov->iov_len;
      message.msg_iov++;
      message.msg_iovlen--;
    }
    if (sent > 0) {
      message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + sent;
      message.msg_iov->iov_len -= sent;
    }
  }
}

// Takes what one read brings; how many requests have ended by it.
static uint32_t take(struct connection *it) {
  ssize_t count = recv(it->socket, input, sizeof input, 0);
  if (count <= 0) fail("receive");
  uint32_t ended = 0;
  for (ssize_t at = 0; at < count;) {
    if (it->skip > 0) {
      uint64_t some = (uint64_t)(count - at) < it->skip ? (uint64_t)(count - at) : it->skip;
      at += some;
      it->skip -= some;
      if (it->skip == 0) ended += it->last;
      continue;
    }
    uint32_t magic = be32toh(it->reply.magic);
    uint32_t size = it->have < 4 ? 4 : magic == SIMPLE_MAGIC ? 16 : 20;
    uint32_t some = count - at < size - it->have ? count - at : size - it->have;
    memcpy((char *)&it->reply + it->have, input + at, some);
    at += some;
    it->have += some;
    if (it->have < size || size == 4) continue;
    it->have = 0;
    errno = 0;
    if (magic == SIMPLE_MAGIC) {
      if (it->reply.simple.error != 0) fail("a request has failed");
      it->skip = op == READ ? block : 0;
      it->last = 1;
    } else {
      if (magic != STRUCTURED_MAGIC || be16toh(it->reply.chunk.type) >> 15) fail("a request has failed");
      it->skip = be32toh(it->reply.chunk.length);
      it->last = be16toh(it->reply.chunk.flags) & 1;
    }
    if (it->skip == 0) ended += it->last;
  }
  it->inflight -= ended;
  done += ended;
  return ended;
}

static void load(struct connection *all, uint32_t count, uint32_t depth, double seconds) {
  int waiting = epoll_create1(0);
  struct epoll_event events[64];
  for (uint32_t i = 0; i < count; i++) {
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = &all[i] };
    epoll_ctl(waiting, EPOLL_CTL_ADD, all[i].socket, &event);
  }
  double begun = now();
  for (uint32_t i = 0; i < count; i++) ask(&all[i], depth);
  for (uint32_t left = count; left > 0;) {
    // One connection needs nobody to tell whose turn it is.
    int ready = count == 1 ? 1 : epoll_wait(waiting, events, 64, -1);
    int over = now() - begun >= seconds;
    for (int i = 0; i < ready; i++) {
      struct connection *it = count == 1 ? all : events[i].data.ptr;
      uint32_t ended = take(it);
      if (!over && ended > 0) ask(it, ended);
      else if (over && it->inflight == 0) left--;
    }
  }
  printf("{ \"ios\": %lu, \"seconds\": %f, \"structured\": %s }\n", done, now() - begun, structured ? "true" : "false");
}

static void hold(struct connection *it) {
  for (op = WRITE; op >= READ; op--) {
    ask(it, 1);
    while (it->inflight > 0) take(it);
  }
}

int main(int argc, char **argv) {
  int holds = argc == 6 && strcmp(argv[1], "hold") == 0;
  if (!holds && (argc != 10 || strcmp(argv[1], "load") != 0)) fail("arguments");
  block = atoi(argv[holds ? 4 : 6]);
  payload = malloc(block);
  memset(payload, 0x5a, block);
  blocks = holds ? 1 : strtoull(argv[4], NULL, 10) / block;
  uint32_t depth = holds ? 1 : atoi(argv[7]), count = atoi(argv[holds ? 5 : 8]);
  if (depth > DEPTH || depth == 0 || count == 0) fail("depth and connections");
  struct connection *all = calloc(count, sizeof *all);
  for (uint32_t i = 0; i < count; i++) {
    all[i].socket = dial(argv[2], argv[3]);
    all[i].next = blocks / count * i;
    if (holds) hold(&all[i]);
  }
  if (holds) {
    puts("held");
    fflush(stdout);
    while (read(0, input, sizeof input) > 0);
    return 0;
  }
  jumps = strncmp(argv[5], "rand", 4) == 0;
  op = strcmp(argv[5], "randwrite") == 0 ? WRITE : READ;
  load(all, count, depth, atof(argv[9]));
  return 0;
}
