/* Preloaded into a Python that converts images: lets reads of files below one directory fail, or memory or threads run
 * out.  shortages_arm is called through ctypes in the process that is to meet its fault.
 *
 * Memory runs out for the native modules alone, by who calls: what Python needs for itself is another matter. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NOTHING, READS, MEMORY, THREADS };
enum { MOST_RANGES = 64 };

static char top[PATH_MAX];
static size_t top_length;
static enum kind kind;
static long chosen;
static bool lasting;
static int error_number;
static atomic_long counter;
static struct {
    uintptr_t begin, end;
} ranges[MOST_RANGES];
static int range_count;

static int add_object(struct dl_phdr_info *object, size_t size, void *unused)
{
    (void)size;
    (void)unused;
    if (strstr(object->dlpi_name, "kernels/native/") == NULL)
        return 0;
    for (int i = 0; i < object->dlpi_phnum && range_count < MOST_RANGES; i++) {
        if (object->dlpi_phdr[i].p_type == PT_LOAD && object->dlpi_phdr[i].p_flags & PF_X) {
            ranges[range_count].begin = object->dlpi_addr + object->dlpi_phdr[i].p_vaddr;
            ranges[range_count].end = ranges[range_count].begin + object->dlpi_phdr[i].p_memsz;
            range_count++;
        }
    }
    return 0;
}

/* Count from now on.  The call of number *when*, from 1, fails with *error*, and with *last* all behind it do. */
void shortages_arm(const char *directory, int what, long when, int error, int last)
{
    kind = NOTHING;
    range_count = 0;
    (void)dl_iterate_phdr(add_object, NULL);
    (void)snprintf(top, sizeof top, "%s", directory);
    top_length = strlen(top);
    chosen = when;
    error_number = error;
    lasting = last;
    atomic_store(&counter, 0);
    kind = (enum kind)what;
}

/* Stop, and return how many calls there were. */
long shortages_count(void)
{
    kind = NOTHING;
    return atomic_load(&counter);
}

static bool fails(void)
{
    long number = atomic_fetch_add(&counter, 1) + 1;
    if (chosen == 0 || number < chosen || (number > chosen && !lasting))
        return false;
    errno = error_number;
    return true;
}

#define REAL(name) \
    static __typeof__(name) *real; \
    if (!real) \
    real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* ---- reads ------------------------------------------------------------------------------------- */

static bool ours(const char *path)
{
    return strncmp(path, top, top_length) == 0 && (path[top_length] == '/' || path[top_length] == 0);
}

static void fd_path(int fd, char *path)
{
    char link[64];
    ssize_t length;
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = 0;
}

static bool fd_fails(int fd)
{
    char path[PATH_MAX];
    int kept = errno;
    bool counted;
    if (kind != READS)
        return false;
    fd_path(fd, path);
    counted = ours(path);
    errno = kept;
    return counted && fails();
}

static bool name_fails(int at, const char *name)
{
    char path[2 * PATH_MAX];
    int kept = errno;
    bool counted;
    if (kind != READS || name == NULL)
        return false;
    path[0] = 0;
    if (name[0] != '/' && at != AT_FDCWD)
        fd_path(at, path);
    else if (name[0] != '/' && !getcwd(path, PATH_MAX))
        path[0] = 0;
    (void)snprintf(path + strlen(path), PATH_MAX, "%s%s", name[0] == '/' ? "" : "/", name);
    counted = ours(path);
    errno = kept;
    return counted && fails();
}

#define ON_FD(result, function, parameters, arguments) \
    result function parameters \
    { \
        REAL(function); \
        return fd_fails(fd) ? -1 : real arguments; \
    }

ON_FD(ssize_t, read, (int fd, void *bytes, size_t size), (fd, bytes, size))
ON_FD(ssize_t, readv, (int fd, const struct iovec *parts, int count), (fd, parts, count))
ON_FD(ssize_t, pread, (int fd, void *bytes, size_t size, off_t at), (fd, bytes, size, at))
ON_FD(ssize_t, pread64, (int fd, void *bytes, size_t size, off64_t at), (fd, bytes, size, at))
ON_FD(int, fstat, (int fd, struct stat *status), (fd, status))
ON_FD(int, fstat64, (int fd, struct stat64 *status), (fd, status))

#define ON_NAME(function, parameters, at, arguments) \
    int function parameters \
    { \
        REAL(function); \
        return name_fails(at, path) ? -1 : real arguments; \
    }

ON_NAME(stat, (const char *path, struct stat *status), AT_FDCWD, (path, status))
ON_NAME(stat64, (const char *path, struct stat64 *status), AT_FDCWD, (path, status))
ON_NAME(lstat, (const char *path, struct stat *status), AT_FDCWD, (path, status))
ON_NAME(lstat64, (const char *path, struct stat64 *status), AT_FDCWD, (path, status))
ON_NAME(fstatat, (int at, const char *path, struct stat *status, int flags), at, (at, path, status, flags))
ON_NAME(fstatat64, (int at, const char *path, struct stat64 *status, int flags), at, (at, path, status, flags))

#define OPEN(function, parameters, at, like) \
    int function parameters \
    { \
        mode_t mode; \
        va_list rest; \
        REAL(like); \
        va_start(rest, flags); \
        mode = va_arg(rest, mode_t); \
        va_end(rest); \
        return name_fails(at, path) ? -1 : real(at, path, flags, mode); \
    }

OPEN(open, (const char *path, int flags, ...), AT_FDCWD, openat)
OPEN(open64, (const char *path, int flags, ...), AT_FDCWD, openat64)
OPEN(openat, (int at, const char *path, int flags, ...), at, openat)
OPEN(openat64, (int at, const char *path, int flags, ...), at, openat64)

/* ---- memory and threads ------------------------------------------------------------------------ */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);

static bool lacks_memory(const void *caller)
{
    if (kind != MEMORY)
        return false;
    for (int i = 0; i < range_count; i++)
        if ((uintptr_t)caller >= ranges[i].begin && (uintptr_t)caller < ranges[i].end)
            return fails();
    return false;
}

/* dlsym itself takes memory, so these do not ask it. */
void *malloc(size_t size) { return lacks_memory(__builtin_return_address(0)) ? NULL : __libc_malloc(size); }

void *calloc(size_t count, size_t size)
{
    return lacks_memory(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *memory, size_t size)
{
    return lacks_memory(__builtin_return_address(0)) ? NULL : __libc_realloc(memory, size);
}

void *mmap(void *place, size_t length, int protection, int flags, int fd, off_t offset)
{
    REAL(mmap);
    return lacks_memory(__builtin_return_address(0)) ? MAP_FAILED : real(place, length, protection, flags, fd, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*begin)(void *), void *argument)
{
    REAL(pthread_create);
    return kind == THREADS && fails() ? error_number : real(thread, attributes, begin, argument);
}
