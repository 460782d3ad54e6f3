// Stands between a program and the file system: preloaded, it counts the calls that touch files below FAULT_DIR and
// does something about the Nth. Without FAULT_DIR it only passes on. All calls go straight to the kernel.
//
//   FAULT_DIR     files below it are watched
//   FAULT_ARM     counting lasts from `mkdir` to `rmdir` of this name, which is never made
//   FAULT_CALLS   which calls count: w(rite), s(ync), n(ames: create, rename, remove, cut), r(ead)
//   FAULT_AT      the call that is met, from 1; 0 is none
//   FAULT_TIMES   how many calls from there on, default 1
//   FAULT_ACTION  kill; fail (with FAULT_ERRNO); torn (writes FAULT_KEEP thousandths, then kill);
//                 lose (a sync fails, and what it should have written is gone, as Linux does it);
//                 cut (what was never synced is gone, then kill: a power cut)
//   FAULT_SOME    with cut: each unsynced write is gone or not, by this seed
//   FAULT_LIE     every sync returns at once and does nothing
//   FAULT_TRACE   every counted call is a line in this file
//
// A cut forgets the content of files. Names (create, rename, remove) count as durable at once.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define MOST_FDS 4096
#define MOST_FILES 256
#define MOST_RECORDS 200000

enum verdict { GO, STOP, TEAR };
enum action { NONE, KILL, FAIL, TORN, LOSE, CUT };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dir, *arm_name, *calls;
static long at, times = 1, met, keep, some, lie, fault_errno;
static enum action action;
static int armed, trace = -1;
static unsigned char watched[MOST_FDS];

// a write that no sync has followed yet: what was there before
struct record { int file; off_t offset, size; size_t length; char *old; };
static struct record records[MOST_RECORDS];
static long record_count;
static struct { dev_t dev; ino_t ino; int fd; } files[MOST_FILES];
static int file_count;

static long number(const char *name, long otherwise) {
    const char *value = getenv(name);
    return value ? atol(value) : otherwise;
}

__attribute__((constructor)) static void begin(void) {
    dir = getenv("FAULT_DIR");
    if (!dir) return;
    arm_name = getenv("FAULT_ARM");
    calls = getenv("FAULT_CALLS");
    if (!calls) calls = "wsn";
    at = number("FAULT_AT", 0);
    times = number("FAULT_TIMES", 1);
    keep = number("FAULT_KEEP", 500);
    some = number("FAULT_SOME", 0);
    lie = number("FAULT_LIE", 0);
    fault_errno = number("FAULT_ERRNO", EIO);
    const char *name = getenv("FAULT_ACTION");
    if (!name) name = "";
    action = !strcmp(name, "kill") ? KILL : !strcmp(name, "fail") ? FAIL : !strcmp(name, "torn") ? TORN
           : !strcmp(name, "lose") ? LOSE : !strcmp(name, "cut") ? CUT : NONE;
    const char *path = getenv("FAULT_TRACE");
    if (path) trace = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int below(const char *path) {
    size_t length = dir && path ? strlen(dir) : 0;
    return length && !strncmp(path, dir, length) && (path[length] == '/' || !path[length]);
}

static int below_at(int fd, const char *path) {
    return below(path) || (path && path[0] != '/' && fd >= 0 && fd < MOST_FDS && watched[fd]);
}

static int is_watched(int fd) { return dir && fd >= 0 && fd < MOST_FDS && watched[fd]; }

__attribute__((noreturn)) static void die(void) {
    syscall(SYS_kill, getpid(), SIGKILL);
    for (;;) pause();
}

// --- what was never synced ------------------------------------------------------------------------------------

static int remembers(void) { return armed && (action == LOSE || action == CUT); }

static int file_of(int fd) {
    struct stat info;
    if (fstat(fd, &info) || !S_ISREG(info.st_mode)) return -1;
    for (int i = 0; i < file_count; i++)
        if (files[i].dev == info.st_dev && files[i].ino == info.st_ino) return i;
    if (file_count == MOST_FILES) return -1;
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    // never closed: closing it would drop the locks of SQLite
    int own = syscall(SYS_openat, AT_FDCWD, name, O_RDWR | O_CLOEXEC);
    if (own < 0) return -1;
    files[file_count].dev = info.st_dev;
    files[file_count].ino = info.st_ino;
    files[file_count].fd = own;
    return file_count++;
}

static void remember(int fd, off_t offset, size_t length) {
    int file = remembers() ? file_of(fd) : -1;
    struct stat info;
    if (file < 0 || record_count == MOST_RECORDS || fstat(fd, &info)) return;
    struct record *record = &records[record_count++];
    record->file = file;
    record->offset = offset;
    record->size = info.st_size;
    record->old = malloc(length ? length : 1);
    ssize_t got = record->old ? syscall(SYS_pread64, files[file].fd, record->old, length, offset) : 0;
    record->length = got > 0 ? got : 0;
}

static void undo(struct record *record) {
    int fd = files[record->file].fd;
    if (record->length) syscall(SYS_pwrite64, fd, record->old, record->length, record->offset);
    syscall(SYS_ftruncate, fd, record->size);
}

// one file, or all with -1; the newest first
static void lose(int file) {
    unsigned long chance = some * 2654435761UL + 1;
    for (long i = record_count - 1; i >= 0; i--) {
        if (records[i].file < 0 || (file >= 0 && records[i].file != file)) continue;
        chance = chance * 6364136223846793005UL + 1442695040888963407UL;
        if (!some || (chance >> 40) & 1) undo(&records[i]);
    }
}

static void forget(int file) {
    long kept = 0;
    for (long i = 0; i < record_count; i++) {
        if (records[i].file == file) free(records[i].old);
        else records[kept++] = records[i];
    }
    record_count = kept;
}

// --- the Nth call ---------------------------------------------------------------------------------------------

static enum verdict meet(char class, const char *name, int fd, const char *path) {
    if (!armed || !strchr(calls, class)) return GO;
    long n = ++met;
    if (trace >= 0) {
        char link[64], target[512], line[700];
        if (!path) {
            snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
            ssize_t length = readlink(link, target, sizeof target - 1);
            target[length > 0 ? length : 0] = 0;
            path = target;
        }
        int length = snprintf(line, sizeof line, "%ld %s %s\n", n, name, path);
        syscall(SYS_write, trace, line, length);
    }
    if (!at || n < at || n >= at + times) return GO;
    switch (action) {
    case KILL: die();
    case CUT: lose(-1); die();
    case TORN: return TEAR;
    case LOSE:
        if (class == 's') { int file = file_of(fd); if (file >= 0) { lose(file); forget(file); } }
        // fall through
    case FAIL: errno = fault_errno; return STOP;
    default: return GO;
    }
}

#define GUARDED(result, class, name, fd, path, call)                 \
    pthread_mutex_lock(&lock);                                       \
    switch (meet(class, name, fd, path)) {                           \
    case STOP: result = -1; break;                                   \
    case TEAR: die();                                                \
    default: result = (call);                                        \
    }                                                                \
    { int kept = errno; pthread_mutex_unlock(&lock); errno = kept; }

// --- files ----------------------------------------------------------------------------------------------------

static int opened(int at_fd, const char *path, int flags, mode_t mode) {
    int fd;
    if (!below_at(at_fd, path)) return syscall(SYS_openat, at_fd, path, flags, mode);
    if (flags & O_CREAT) {
        GUARDED(fd, 'n', "create", -1, path, syscall(SYS_openat, at_fd, path, flags, mode))
    } else {
        fd = syscall(SYS_openat, at_fd, path, flags, mode);
    }
    if (fd >= 0 && fd < MOST_FDS) watched[fd] = 1;
    return fd;
}

#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { \
    va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int fd, const char *path, int flags, ...) { MODE(flags) return opened(fd, path, flags, mode); }
int openat64(int fd, const char *path, int flags, ...) { MODE(flags) return opened(fd, path, flags, mode); }

int close(int fd) {
    if (fd >= 0 && fd < MOST_FDS) watched[fd] = 0;
    return syscall(SYS_close, fd);
}

static ssize_t written(const char *name, int fd, const void *data, size_t length, off_t offset, int placed) {
    ssize_t result;
    pthread_mutex_lock(&lock);
    enum verdict verdict = meet('w', name, fd, NULL);
    if (verdict == TEAR) length = length * keep / 1000;
    if (verdict == STOP) {
        result = -1;
    } else {
        if (remembers()) {
            off_t from = placed ? offset : lseek(fd, 0, fcntl(fd, F_GETFL) & O_APPEND ? SEEK_END : SEEK_CUR);
            remember(fd, from, length);
        }
        result = placed ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
    }
    if (verdict == TEAR) die();
    int kept = errno;
    pthread_mutex_unlock(&lock);
    errno = kept;
    return result;
}

ssize_t write(int fd, const void *data, size_t length) {
    return is_watched(fd) ? written("write", fd, data, length, 0, 0) : syscall(SYS_write, fd, data, length);
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
    return is_watched(fd) ? written("pwrite", fd, data, length, offset, 1)
                          : syscall(SYS_pwrite64, fd, data, length, offset);
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return pwrite(fd, data, length, offset); }

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t length, unsigned flags) {
    ssize_t result;
    if (!is_watched(to)) return syscall(SYS_copy_file_range, from, from_at, to, to_at, length, flags);
    GUARDED(result, 'w', "copy_file_range", to, NULL,
            (remember(to, lseek(to, 0, SEEK_CUR), 0),
             syscall(SYS_copy_file_range, from, from_at, to, to_at, length, flags)))
    return result;
}

static int sync_now(int fd, long call) {
    if (lie && armed) return 0;
    int result = syscall(call, fd);
    int file = !result && remembers() ? file_of(fd) : -1;
    if (file >= 0) forget(file);
    return result;
}

static int synced(const char *name, int fd, long call) {
    int result;
    if (!is_watched(fd)) return syscall(call, fd);
    GUARDED(result, 's', name, fd, NULL, sync_now(fd, call))
    return result;
}
int fsync(int fd) { return synced("fsync", fd, SYS_fsync); }
int fdatasync(int fd) { return synced("fdatasync", fd, SYS_fdatasync); }

int ftruncate(int fd, off_t length) {
    int result;
    if (!is_watched(fd)) return syscall(SYS_ftruncate, fd, length);
    struct stat info;
    size_t gone = !fstat(fd, &info) && info.st_size > length ? info.st_size - length : 0;
    GUARDED(result, 'n', "ftruncate", fd, NULL, (remember(fd, length, gone), syscall(SYS_ftruncate, fd, length)))
    return result;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

static ssize_t taken(const char *name, int fd, void *data, size_t length, off_t offset, int placed) {
    ssize_t result;
    GUARDED(result, 'r', name, fd, NULL,
            placed ? syscall(SYS_pread64, fd, data, length, offset) : syscall(SYS_read, fd, data, length))
    return result;
}
ssize_t read(int fd, void *data, size_t length) {
    return is_watched(fd) ? taken("read", fd, data, length, 0, 0) : syscall(SYS_read, fd, data, length);
}
ssize_t pread(int fd, void *data, size_t length, off_t offset) {
    return is_watched(fd) ? taken("pread", fd, data, length, offset, 1)
                          : syscall(SYS_pread64, fd, data, length, offset);
}
ssize_t pread64(int fd, void *data, size_t length, off64_t offset) { return pread(fd, data, length, offset); }

// --- names ----------------------------------------------------------------------------------------------------

int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    int result;
    if (!below_at(from_fd, from) && !below_at(to_fd, to)) return syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
    GUARDED(result, 'n', "rename", -1, to, syscall(SYS_renameat2, from_fd, from, to_fd, to, 0))
    return result;
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
    int result;
    if (!below_at(to_fd, to)) return syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
    GUARDED(result, 'n', "link", -1, to, syscall(SYS_linkat, from_fd, from, to_fd, to, flags))
    return result;
}
int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int fd, const char *path, int flags) {
    int result;
    if (arm_name && !strcmp(path, arm_name)) { armed = 0; return 0; }
    if (!below_at(fd, path)) return syscall(SYS_unlinkat, fd, path, flags);
    GUARDED(result, 'n', "remove", -1, path, syscall(SYS_unlinkat, fd, path, flags))
    return result;
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int fd, const char *path, mode_t mode) {
    int result;
    if (arm_name && !strcmp(path, arm_name)) { armed = 1; return 0; }
    if (!below_at(fd, path)) return syscall(SYS_mkdirat, fd, path, mode);
    GUARDED(result, 'n', "mkdir", -1, path, syscall(SYS_mkdirat, fd, path, mode))
    return result;
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }
