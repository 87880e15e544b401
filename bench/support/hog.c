/*
 * hog RATE_MIB_PER_S MAX_MIB: the runaway of bench:react and bench:attack. It grows anonymous memory at that rate (0: as fast as it can) and
 * notes two moments: when /proc/meminfo first shows a limit crossed, which it looks at after each quarter of a MiB, and when SIGTERM arrives. It is C
 * because the second is to be the kernel's delivery of the signal: a runtime with an event loop would add its own millisecond to it.
 *
 * As test/support/hog.mjs, but that it first touches MAX_MIB once and gives it back: on a virtual machine the first touch of a page is the
 * host's work and slow (300 MiB/s here, 2 GiB/s afterwards). It says {"event":"ready"}, waits for a line with the limit on stdin,
 * {"limitPercent":12.5,"basis":"user"} (of MemAvailable + AnonPages) or "total" (of MemTotal), and grows. On stdout: one JSON object a
 * line, times in CLOCK_MONOTONIC ms. It has oom_score_adj 1000, and ends some seconds after it is full.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { MIB = 1 << 20, CHUNK = MIB / 4, HOLD_S = 20, MEMINFO_BYTES = 8192 };

struct memory { double total, available, anon; };

static int meminfo_fd;
static volatile sig_atomic_t crossed;
/* The last look that did not show the limit crossed; 0: none yet. */
static volatile double looked_ms, looked_kib;

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e3 + now.tv_nsec / 1e6;
}

static double value_of(const char *text, const char *key)
{
    const char *found = strstr(text, key);
    return found == NULL ? 0 : strtod(found + strlen(key), NULL);
}

static struct memory look(void)
{
    char text[MEMINFO_BYTES];
    ssize_t length = pread(meminfo_fd, text, sizeof text - 1, 0);
    text[length < 0 ? 0 : length] = '\0';
    return (struct memory){
        value_of(text, "MemTotal:"), value_of(text, "\nMemAvailable:"), value_of(text, "\nAnonPages:")};
}

/* One write, so that a signal's line and another do not mix. */
static void tell(const char *event, double at_ms, double available_kib, double mib_per_s)
{
    char line[256];
    int length = snprintf(line, sizeof line,
        "{\"event\":\"%s\",\"atMs\":%.6f,\"pid\":%d,\"availableKib\":%.0f,\"mibPerS\":%.0f}\n",
        event, at_ms, getpid(), available_kib, mib_per_s);
    if (write(STDOUT_FILENO, line, length) != length)
        _exit(1);
}

static void on_term(int signal)
{
    (void)signal;
    double at_ms = now_ms();
    double available = look().available;
    /* The guard has seen it between two looks of ours: then it was crossed after the last one, at the earliest. */
    if (!crossed && looked_ms > 0)
        tell("crossed", looked_ms, looked_kib, 0);
    tell("term", at_ms, available, 0);
    _exit(0);
}

static char *reserve(size_t bytes)
{
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        exit(1);
    return memory;
}

static void sleep_until_ms(double due_ms)
{
    double ms = due_ms - now_ms();
    if (ms <= 0)
        return;
    struct timespec left = {(time_t)(ms / 1e3), (long)(ms * 1e6) % 1000000000L};
    nanosleep(&left, NULL);
}

int main(int argc, char **argv)
{
    double rate = argc == 3 ? atof(argv[1]) : -1;
    size_t bytes = argc == 3 ? strtoul(argv[2], NULL, 10) * MIB : 0;
    meminfo_fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    int adj = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (rate < 0 || bytes == 0 || meminfo_fd < 0 || adj < 0 || write(adj, "1000", 4) != 4)
        return 2;
    close(adj);
    prctl(PR_SET_NAME, "hog");
    signal(SIGTERM, on_term);

    char *memory = reserve(bytes);
    memset(memory, 1, bytes);
    munmap(memory, bytes);
    tell("ready", now_ms(), 0, 0);

    char line[256];
    double limit_percent;
    char basis[8];
    if (fgets(line, sizeof line, stdin) == NULL ||
        sscanf(line, "{\"limitPercent\":%lf,\"basis\":\"%7[a-z]", &limit_percent, basis) != 2)
        return 2;
    int of_total = strcmp(basis, "total") == 0;

    memory = reserve(bytes);
    double started_ms = now_ms();
    for (size_t grown = 0; grown < bytes;) {
        if (rate > 0)
            sleep_until_ms(started_ms + 1e3 * grown / MIB / rate);
        memset(memory + grown, 1, CHUNK);
        grown += CHUNK;
        if (crossed)
            continue;
        struct memory seen = look();
        double of = of_total ? seen.total : seen.available + seen.anon;
        double at_ms = now_ms();
        if (seen.available * 100 / of > limit_percent) {
            looked_kib = seen.available;
            looked_ms = at_ms;
            continue;
        }
        tell("crossed", at_ms, seen.available, 1e3 * grown / MIB / (at_ms - started_ms));
        /* Not before: a signal in between makes two lines of it, of which the first counts. */
        crossed = 1;
    }
    tell("full", now_ms(), 0, 0);
    sleep(HOLD_S);
    return 3;
}
