/* Makes one sync of a file fail once the file that $DROVER_EIO names exists, and removes it. Loaded with LD_PRELOAD. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fails(void) {
    const char *switch_file = getenv("DROVER_EIO");
    return switch_file && unlink(switch_file) == 0;
}

int fsync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    if (fails()) { errno = EIO; return -1; }
    return (int)syscall(SYS_fdatasync, fd);
}
