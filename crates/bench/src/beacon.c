/* What a benchmark lets be started: it takes the clock with its first instructions, says so over a datagram, and ends,
 * or stays when it is told to. Freestanding, so that no C library's start is measured.
 *
 *     beacon SOCKET TAG [stay]
 */

#if defined(__x86_64__)
enum { SOCKET = 41, SENDTO = 44, GETPID = 39, EXIT = 231, CLOCK = 228, PPOLL = 271 };
static long call(long n, long a, long b, long c, long d, long e, long f) {
    long r;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(r)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return r;
}
__asm__(".globl _start\n_start:\n mov %rsp, %rdi\n and $-16, %rsp\n call begin\n");
#elif defined(__aarch64__)
enum { SOCKET = 198, SENDTO = 206, GETPID = 172, EXIT = 94, CLOCK = 113, PPOLL = 73 };
static long call(long n, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
__asm__(".globl _start\n_start:\n mov x0, sp\n bl begin\n");
#else
#error "no beacon for this processor"
#endif

struct timespec {
    long sec, nsec;
};

static long text(char *to, long at, long end, const char *from) {
    while (at < end && *from) to[at++] = *from++;
    if (at < end) to[at++] = 0;
    return at;
}

/* What follows `name` where `entry` begins with it. */
static const char *after(const char *entry, const char *name) {
    while (*name) {
        if (*entry++ != *name++) return 0;
    }
    return entry;
}

void begin(long *stack) {
    struct timespec mono, real;
    call(CLOCK, 1, (long)&mono, 0, 0, 0, 0);
    call(CLOCK, 0, (long)&real, 0, 0, 0, 0);
    long argc = stack[0];
    char **argv = (char **)(stack + 1);
    char **env = argv + argc + 1;
    if (argc < 3) call(EXIT, 2, 0, 0, 0, 0, 0);
    const char *due = "";
    for (; *env; env++) {
        const char *value = after(*env, "DROVER_SCHEDULED_TIME=");
        if (value) due = value;
    }
    union {
        long words[3];
        char bytes[512];
    } message;
    message.words[0] = mono.sec * 1000000000 + mono.nsec;
    message.words[1] = real.sec * 1000000000 + real.nsec;
    message.words[2] = call(GETPID, 0, 0, 0, 0, 0, 0);
    long size = text(message.bytes, 24, 512, argv[2]);
    size = text(message.bytes, size, 512, due);
    struct {
        unsigned short family;
        char path[108];
    } to;
    to.family = 1;
    long length = 2 + text(to.path, 0, 108, argv[1]);
    long fd = call(SOCKET, 1, 2, 0, 0, 0, 0);
    call(SENDTO, fd, (long)message.bytes, size, 0, (long)&to, length);
    while (argc > 3) call(PPOLL, 0, 0, 0, 0, 0, 0);
    call(EXIT, 0, 0, 0, 0, 0, 0);
}
