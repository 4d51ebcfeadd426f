/* Makes every sync take as many milliseconds as $DROVER_SLOW_MS says. Loaded with LD_PRELOAD. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static void wait_a_while(void) {
    const char *text = getenv("DROVER_SLOW_MS");
    if (text) usleep((useconds_t)atol(text) * 1000);
}

int fsync(int fd) {
    wait_a_while();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    wait_a_while();
    return (int)syscall(SYS_fdatasync, fd);
}
