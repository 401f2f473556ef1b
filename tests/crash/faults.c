/* Preloaded into a Python that converts images: counts what changes files below one directory, and lets one such call
 * fail or be the last.  faults_arm is called through ctypes in the process that is to meet its fault.
 *
 * No fsync reaches the disk: what a killed process wrote stays in the kernel's cache, and the runs are many. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum action { NOTHING, KILL, TEAR, FAIL, SHORTEN };
enum quirk { NO_TMPFILE = 1 };

static char top[PATH_MAX];
static size_t top_length;
static long chosen;
static enum action action;
static int error_number, log_fd = -1, quirks;
static atomic_long counter;

/* Count from now on.  The call of number *when*, from 1, meets *what*; each call is one line in *log*. */
void faults_arm(const char *directory, long when, int what, int error, int log, int file_system)
{
    (void)snprintf(top, sizeof top, "%s/", directory);
    chosen = when;
    action = (enum action)what;
    error_number = error;
    log_fd = log;
    quirks = file_system;
    atomic_store(&counter, 0);
    top_length = strlen(top);
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) \
    real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

struct call {
    const char *name;
    long number; /* 0: not one of ours */
    bool halve, kill;
    char path[PATH_MAX], other[PATH_MAX];
    unsigned long inode, parent;
};

static bool ours(const char *path)
{
    return top_length > 0 &&
           (strncmp(path, top, top_length) == 0 || (strncmp(path, top, top_length - 1) == 0 && !path[top_length - 1]));
}

static void fd_path(int fd, char *path)
{
    char link[64];
    ssize_t length;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

static void name_path(int at, const char *name, char *path)
{
    size_t length;
    if (name[0] == '/') {
        (void)snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    if (at != AT_FDCWD)
        fd_path(at, path);
    else if (!getcwd(path, PATH_MAX))
        path[0] = 0;
    if (strcmp(name, ".") == 0)
        return;
    length = strlen(path);
    (void)snprintf(path + length, PATH_MAX - length, "/%s", name);
}

static unsigned long inode_of(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 ? (unsigned long)status.st_ino : 0;
}

static unsigned long parent_of(const char *path)
{
    char parent[PATH_MAX];
    char *slash;
    (void)snprintf(parent, sizeof parent, "%s", path);
    slash = strrchr(parent, '/');
    if (slash)
        *slash = 0;
    return inode_of(parent);
}

static void tell(const struct call *call, long result)
{
    char line[3 * PATH_MAX];
    int length = snprintf(line, sizeof line, "%ld\t%s\t%ld\t%lu\t%lu\t%s\t%s\n", call->number, call->name, result,
                          call->inode, call->parent, call->path, call->other);
    if (log_fd >= 0)
        (void)syscall(SYS_write, log_fd, line, (size_t)length);
}

static void die(void)
{
    (void)syscall(SYS_kill, getpid(), SIGKILL);
    for (;;)
        (void)pause();
}

/* Count the call; false, with errno set, where it is to fail. */
static bool go(struct call *call, bool writes)
{
    call->number = atomic_fetch_add(&counter, 1) + 1;
    if (call->number != chosen)
        return true;
    if (action == KILL || (action == TEAR && !writes)) {
        tell(call, -1);
        die();
    }
    call->halve = action == TEAR || (action == SHORTEN && writes);
    call->kill = action == TEAR;
    if (action != FAIL)
        return true;
    tell(call, -1);
    errno = error_number;
    return false;
}

/* Tell what became of the call, and keep errno. */
static void ended(const struct call *call, long result)
{
    int kept = errno;
    if (call->number)
        tell(call, result);
    if (call->kill)
        die();
    errno = kept;
}

static bool begin_fd(struct call *call, const char *name, int fd, bool writes)
{
    struct stat status;
    int kept = errno;
    memset(call, 0, sizeof *call);
    call->name = name;
    if (top_length == 0)
        return true;
    fd_path(fd, call->path);
    if (ours(call->path) && fstat(fd, &status) == 0) {
        call->inode = (unsigned long)status.st_ino;
        if (writes && fcntl(fd, F_GETFL) & O_DIRECT)
            call->name = "direct";
        if (!go(call, writes))
            return false;
    }
    errno = kept;
    return true;
}

static bool begin_name(struct call *call, const char *name, int at, const char *path)
{
    int kept = errno;
    memset(call, 0, sizeof *call);
    call->name = name;
    if (top_length == 0)
        return true;
    name_path(at, path, call->path);
    if (ours(call->path)) {
        call->inode = inode_of(call->path);
        call->parent = parent_of(call->path);
        if (!go(call, false))
            return false;
    }
    errno = kept;
    return true;
}

/* The source of a link may lie outside; what counts is where the new name is. */
static bool begin_names(struct call *call, const char *name, int at, const char *path, int other_at, const char *other)
{
    struct stat status;
    int kept = errno;
    memset(call, 0, sizeof *call);
    call->name = name;
    if (top_length == 0)
        return true;
    name_path(at, path, call->path);
    name_path(other_at, other, call->other);
    if (ours(call->other)) {
        bool followed = strncmp(call->path, "/proc/", 6) == 0 && stat(call->path, &status) == 0;
        call->inode = followed ? (unsigned long)status.st_ino : inode_of(call->path);
        call->parent = parent_of(call->other);
        if (!go(call, false))
            return false;
    }
    errno = kept;
    return true;
}

#define WRITE(function, kind, parameters, length, arguments) \
    kind function parameters \
    { \
        struct call call; \
        kind result; \
        REAL(function); \
        if (!begin_fd(&call, "write", fd, true)) \
            return -1; \
        if (call.halve && length > 1) \
            length /= 2; \
        result = real arguments; \
        ended(&call, (long)result); \
        return result; \
    }

WRITE(write, ssize_t, (int fd, const void *bytes, size_t size), size, (fd, bytes, size))
WRITE(pwrite, ssize_t, (int fd, const void *bytes, size_t size, off_t at), size, (fd, bytes, size, at))
WRITE(pwrite64, ssize_t, (int fd, const void *bytes, size_t size, off64_t at), size, (fd, bytes, size, at))
WRITE(writev, ssize_t, (int fd, const struct iovec *parts, int count), count, (fd, parts, count))
WRITE(pwritev, ssize_t, (int fd, const struct iovec *parts, int count, off_t at), count, (fd, parts, count, at))
WRITE(pwritev64, ssize_t, (int fd, const struct iovec *parts, int count, off64_t at), count, (fd, parts, count, at))
WRITE(copy_file_range, ssize_t, (int from, off64_t *here, int fd, off64_t *there, size_t size, unsigned flags), size,
      (from, here, fd, there, size, flags))
WRITE(sendfile, ssize_t, (int fd, int from, off_t *here, size_t size), size, (fd, from, here, size))
WRITE(sendfile64, ssize_t, (int fd, int from, off64_t *here, size_t size), size, (fd, from, here, size))

#define ON_FD(function, parameters, arguments) \
    int function parameters \
    { \
        struct call call; \
        int result; \
        REAL(function); \
        if (!begin_fd(&call, #function, fd, false)) \
            return -1; \
        result = real arguments; \
        ended(&call, result); \
        return result; \
    }

ON_FD(ftruncate, (int fd, off_t size), (fd, size))
ON_FD(ftruncate64, (int fd, off64_t size), (fd, size))
ON_FD(fallocate, (int fd, int mode, off_t at, off_t size), (fd, mode, at, size))
ON_FD(fallocate64, (int fd, int mode, off64_t at, off64_t size), (fd, mode, at, size))
ON_FD(fchmod, (int fd, mode_t mode), (fd, mode))

#define SYNC(function, parameters, arguments) \
    int function parameters \
    { \
        struct call call; \
        REAL(function); \
        if (!begin_fd(&call, #function, fd, false)) \
            return -1; \
        if (call.number == 0) \
            return real arguments; \
        ended(&call, 0); \
        return 0; \
    }

SYNC(fsync, (int fd), (fd))
SYNC(fdatasync, (int fd), (fd))
SYNC(syncfs, (int fd), (fd))
SYNC(sync_file_range, (int fd, off64_t at, off64_t size, unsigned flags), (fd, at, size, flags))

#define ON_NAME(function, parameters, at, arguments) \
    int function parameters \
    { \
        struct call call; \
        int result; \
        REAL(function); \
        if (!begin_name(&call, #function, at, path)) \
            return -1; \
        result = real arguments; \
        if (call.number && result == 0 && call.inode == 0) \
            call.inode = inode_of(call.path); \
        ended(&call, result); \
        return result; \
    }

ON_NAME(mkdir, (const char *path, mode_t mode), AT_FDCWD, (path, mode))
ON_NAME(mkdirat, (int at, const char *path, mode_t mode), at, (at, path, mode))
ON_NAME(unlink, (const char *path), AT_FDCWD, (path))
ON_NAME(unlinkat, (int at, const char *path, int flags), at, (at, path, flags))
ON_NAME(rmdir, (const char *path), AT_FDCWD, (path))
ON_NAME(truncate, (const char *path, off_t size), AT_FDCWD, (path, size))
ON_NAME(chmod, (const char *path, mode_t mode), AT_FDCWD, (path, mode))

#define ON_NAMES(function, parameters, at, other_at, arguments) \
    int function parameters \
    { \
        struct call call; \
        int result; \
        REAL(function); \
        if (!begin_names(&call, #function, at, path, other_at, other)) \
            return -1; \
        result = real arguments; \
        ended(&call, result); \
        return result; \
    }

ON_NAMES(rename, (const char *path, const char *other), AT_FDCWD, AT_FDCWD, (path, other))
ON_NAMES(renameat, (int at, const char *path, int to, const char *other), at, to, (at, path, to, other))
ON_NAMES(renameat2, (int at, const char *path, int to, const char *other, unsigned flags), at, to,
         (at, path, to, other, flags))
ON_NAMES(link, (const char *path, const char *other), AT_FDCWD, AT_FDCWD, (path, other))
ON_NAMES(linkat, (int at, const char *path, int to, const char *other, int flags), at, to, (at, path, to, other, flags))
ON_NAMES(symlink, (const char *path, const char *other), AT_FDCWD, AT_FDCWD, (path, other))
ON_NAMES(symlinkat, (const char *path, int to, const char *other), AT_FDCWD, to, (path, to, other))

/* Only an open that makes a file changes anything. */
static int open_file(int at, const char *path, int flags, mode_t mode, int (*real)(int, const char *, int, ...))
{
    struct call call;
    struct stat status;
    int result;
    bool unnamed = (flags & O_TMPFILE) == O_TMPFILE;
    if (!(flags & O_CREAT) && !unnamed)
        return real(at, path, flags, mode);
    if (!begin_name(&call, unnamed ? "tmpfile" : "create", at, path))
        return -1;
    if (call.number && unnamed && quirks & NO_TMPFILE) {
        errno = EOPNOTSUPP;
        ended(&call, -1);
        return -1;
    }
    result = real(at, path, flags, mode);
    if (call.number && result >= 0 && fstat(result, &status) == 0)
        call.inode = (unsigned long)status.st_ino;
    ended(&call, result < 0 ? -1 : 0);
    return result;
}

#define OPEN(function, parameters, at, like) \
    int function parameters \
    { \
        mode_t mode; \
        va_list rest; \
        REAL(like); \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
        return open_file(at, path, flags, mode, real); \
    }

OPEN(open, (const char *path, int flags, ...), AT_FDCWD, openat)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, openat64)
OPEN(openat, (int at, const char *path, int flags, ...), at, openat)
OPEN(openat64, (int at, const char *path, int flags, ...), at, openat64)
