/* Ends the program, as kill -9 would, before its n-th change of the disk; $DROVER_HALT is n. Loaded with LD_PRELOAD. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static void step(void) {
    static long left = -1;
    if (left == -1) {
        const char *text = getenv("DROVER_HALT");
        left = text ? atol(text) : 0;
    }
    if (left > 0 && --left == 0) _exit(99);
}

static int is_file(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

#define REAL(name) (real ? real : (real = dlsym(RTLD_NEXT, name)))

ssize_t write(int fd, const void *bytes, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (is_file(fd)) step();
    return REAL("write")(fd, bytes, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    static ssize_t (*real)(int, const void *, size_t, off64_t);
    step();
    return REAL("pwrite64")(fd, bytes, count, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    static ssize_t (*real)(int, const void *, size_t, off_t);
    step();
    return REAL("pwrite")(fd, bytes, count, at);
}

int fsync(int fd) {
    static int (*real)(int);
    step();
    return REAL("fsync")(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    step();
    return REAL("fdatasync")(fd);
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    step();
    return REAL("rename")(from, to);
}

int unlink(const char *path) {
    static int (*real)(const char *);
    step();
    return REAL("unlink")(path);
}

int ftruncate64(int fd, off64_t length) {
    static int (*real)(int, off64_t);
    step();
    return REAL("ftruncate64")(fd, length);
}
