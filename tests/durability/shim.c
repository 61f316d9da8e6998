/* Counts, and on request records, what a process does to files below one folder, and ends it at the k-th such act.
 *
 * Preloaded. Environment: SHIM_FOLDER, absolute, with no slash at its end. The rest is set through shim_begin().
 * An act is an open that creates or truncates, a write, sync, truncate, rename, exchange of names, unlink, rmdir or mkdir.
 *
 * shim_begin(kill_at, log_path): from now on count; at act number kill_at, before it is done, SIGKILL ourselves (0: never);
 *   log every act to log_path (NULL: don't). Returns how many acts were counted before.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char folder[PATH_MAX];
static size_t folder_length;
static long count, kill_at;
static int active, log_fd = -1;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

#define REAL(type, name, ...) \
  static type (*real)(__VA_ARGS__); \
  if (!real) real = (type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static ssize_t real_write(int fd, const void *data, size_t size) {
  REAL(ssize_t, "write", int, const void *, size_t);
  return real(fd, data, size);
}

/* The path relative to the folder, or NULL if it is not below it. */
static const char *inside(const char *path) {
  if (!active || strncmp(path, folder, folder_length)) return NULL;
  if (path[folder_length] == 0) return ".";
  return path[folder_length] == '/' ? path + folder_length + 1 : NULL;
}

static void absolute(int dir, const char *path, char *out) {
  if (path[0] == '/') { snprintf(out, PATH_MAX, "%s", path); return; }
  char base[PATH_MAX] = "";
  if (dir == AT_FDCWD) { if (!getcwd(base, sizeof base)) base[0] = 0; }
  else {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    ssize_t n = readlink(link, base, sizeof base - 1);
    base[n > 0 ? n : 0] = 0;
  }
  if (strlen(base) + strlen(path) + 2 > PATH_MAX) { out[0] = 0; return; }
  strcpy(out, base);
  strcat(out, "/");
  strcat(out, path);
}

static const char *inside_fd(int fd, char *buffer) {
  if (!active) return NULL;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, buffer, PATH_MAX - 1);
  if (n <= 0) return NULL;
  buffer[n] = 0;
  return inside(buffer);
}

/* A record is: kind, path, path, offset, size, then so many bytes. Each text ends in NUL. */
static void act(const char *kind, const char *path, const char *second, long long offset, const void *data, size_t size) {
  pthread_mutex_lock(&mutex);
  count++;
  if (kill_at && count == kill_at) kill(getpid(), SIGKILL);
  if (log_fd >= 0) {
    char head[2 * PATH_MAX + 128];
    int n = 0;
    n += sprintf(head + n, "%s", kind) + 1;
    n += sprintf(head + n, "%s", path) + 1;
    n += sprintf(head + n, "%s", second ? second : "") + 1;
    n += sprintf(head + n, "%lld", offset) + 1;
    n += sprintf(head + n, "%zu", size) + 1;
    real_write(log_fd, head, n);
    while (size) {
      ssize_t done = real_write(log_fd, data, size);
      if (done <= 0) abort();
      data = (const char *)data + done;
      size -= done;
    }
  }
  pthread_mutex_unlock(&mutex);
}

long shim_begin(long at, const char *log_path) {
  const char *name = getenv("SHIM_FOLDER");
  active = 0;
  snprintf(folder, sizeof folder, "%s", name ? name : "/nowhere");
  folder_length = strlen(folder);
  if (log_fd >= 0) close(log_fd);
  log_fd = log_path ? open(log_path, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
  long before = count;
  count = 0;
  kill_at = at;
  active = name != NULL;
  return before;
}

long shim_count(void) { return count; }

static void opened(int dir, const char *path, int flags) {
  if (!active || !(flags & (O_CREAT | O_TRUNC))) return;
  char full[PATH_MAX];
  absolute(dir, path, full);
  const char *name = inside(full);
  if (name) act(flags & O_TRUNC ? "truncate-open" : "open", name, NULL, 0, NULL, 0);
}

#define OPEN(name) \
  int name(const char *path, int flags, ...) { \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
    REAL(int, #name, const char *, int, ...); \
    opened(AT_FDCWD, path, flags); \
    return real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
  int name(int dir, const char *path, int flags, ...) { \
    mode_t mode = 0; \
    if (flags & (O_CREAT | __O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
    REAL(int, #name, int, const char *, int, ...); \
    opened(dir, path, flags); \
    return real(dir, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)

#define FOPEN(name) \
  FILE *name(const char *path, const char *mode) { \
    REAL(FILE *, #name, const char *, const char *); \
    opened(AT_FDCWD, path, mode[0] == 'w' ? O_CREAT | O_TRUNC : mode[0] == 'a' ? O_CREAT : 0); \
    return real(path, mode); \
  }
FOPEN(fopen)
FOPEN(fopen64)

static long long place(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_APPEND)) { struct stat about; return fstat(fd, &about) ? 0 : about.st_size; }
  off_t at = lseek(fd, 0, SEEK_CUR);
  return at < 0 ? 0 : at;
}

ssize_t write(int fd, const void *data, size_t size) {
  char buffer[PATH_MAX];
  const char *name = inside_fd(fd, buffer);
  if (name) act("write", name, NULL, place(fd), data, size);
  return real_write(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
  REAL(ssize_t, "writev", int, const struct iovec *, int);
  char buffer[PATH_MAX];
  const char *name = inside_fd(fd, buffer);
  if (name) {
    /* One act: gathered, so that the record has its bytes. */
    size_t size = 0, done = 0;
    for (int i = 0; i < n; i++) size += parts[i].iov_len;
    char *all = malloc(size ? size : 1);
    for (int i = 0; i < n; i++) { memcpy(all + done, parts[i].iov_base, parts[i].iov_len); done += parts[i].iov_len; }
    act("write", name, NULL, place(fd), all, size);
    free(all);
  }
  return real(fd, parts, n);
}

#define PWRITE(name) \
  ssize_t name(int fd, const void *data, size_t size, off_t offset) { \
    REAL(ssize_t, #name, int, const void *, size_t, off_t); \
    char buffer[PATH_MAX]; \
    const char *path = inside_fd(fd, buffer); \
    if (path) act("write", path, NULL, offset, data, size); \
    return real(fd, data, size, offset); \
  }
PWRITE(pwrite)
PWRITE(pwrite64)

#define SYNC(name) \
  int name(int fd) { \
    REAL(int, #name, int); \
    char buffer[PATH_MAX]; \
    const char *path = inside_fd(fd, buffer); \
    if (path) act("sync", path, NULL, 0, NULL, 0); \
    return real(fd); \
  }
SYNC(fsync)
SYNC(fdatasync)

#define FTRUNCATE(name) \
  int name(int fd, off_t size) { \
    REAL(int, #name, int, off_t); \
    char buffer[PATH_MAX]; \
    const char *path = inside_fd(fd, buffer); \
    if (path) act("truncate", path, NULL, size, NULL, 0); \
    return real(fd, size); \
  }
FTRUNCATE(ftruncate)
FTRUNCATE(ftruncate64)

static void renamed(const char *kind, int from_dir, const char *from, int to_dir, const char *to) {
  if (!active) return;
  char first[PATH_MAX], second[PATH_MAX];
  absolute(from_dir, from, first);
  absolute(to_dir, to, second);
  const char *a = inside(first), *b = inside(second);
  if (a || b) act(kind, a ? a : "", b ? b : "", 0, NULL, 0);
}

int rename(const char *from, const char *to) {
  REAL(int, "rename", const char *, const char *);
  renamed("rename", AT_FDCWD, from, AT_FDCWD, to);
  return real(from, to);
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
  REAL(int, "renameat", int, const char *, int, const char *);
  renamed("rename", from_dir, from, to_dir, to);
  return real(from_dir, from, to_dir, to);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned int flags) {
  REAL(int, "renameat2", int, const char *, int, const char *, unsigned int);
  renamed(flags & RENAME_EXCHANGE ? "exchange" : "rename", from_dir, from, to_dir, to);
  return real(from_dir, from, to_dir, to, flags);
}

#define ONE_PATH(name, kind, dir, declared, given) \
  int name declared { \
    static int (*real) declared; \
    if (!real) real = (int(*) declared)dlsym(RTLD_NEXT, #name); \
    if (active) { \
      char full[PATH_MAX]; \
      absolute(dir, path, full); \
      const char *inner = inside(full); \
      if (inner) act(kind, inner, NULL, 0, NULL, 0); \
    } \
    return real given; \
  }
ONE_PATH(unlink, "unlink", AT_FDCWD, (const char *path), (path))
ONE_PATH(rmdir, "rmdir", AT_FDCWD, (const char *path), (path))
ONE_PATH(unlinkat, (flags & AT_REMOVEDIR ? "rmdir" : "unlink"), at, (int at, const char *path, int flags), (at, path, flags))
ONE_PATH(mkdir, "mkdir", AT_FDCWD, (const char *path, mode_t mode), (path, mode))
ONE_PATH(mkdirat, "mkdir", at, (int at, const char *path, mode_t mode), (at, path, mode))
