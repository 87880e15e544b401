/*
 * memory-log MEMINFO PERIOD_US: notes AnonPages so often, at a real-time priority, until SIGTERM; then prints one
 * line for each change: the time (CLOCK_MONOTONIC, ns) and KiB. Says "ready" before.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHANGES_MAX = 1 << 16 };

static struct { int64_t at_ns; long kib; } changes[CHANGES_MAX];

static volatile sig_atomic_t ended;

static void end(int signal)
{
    (void)signal;
    ended = 1;
}

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int main(int argc, char **argv)
{
    long period_us = argc == 3 ? atol(argv[2]) : 0;
    int meminfo = period_us > 0 ? open(argv[1], O_RDONLY) : -1;
    if (meminfo < 0)
        return 2;
    struct sched_param priority = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
        fprintf(stderr, "memory-log: no real-time priority, times are less exact\n");
    signal(SIGTERM, end);
    puts("ready");
    fflush(stdout);

    int count = 0;
    while (!ended && count < CHANGES_MAX) {
        char text[4096];
        ssize_t length = pread(meminfo, text, sizeof(text) - 1, 0);
        text[length > 0 ? length : 0] = 0;
        const char *line = strstr(text, "AnonPages:");
        long kib = line == NULL ? 0 : atol(line + strlen("AnonPages:"));
        if (count == 0 || kib != changes[count - 1].kib) {
            changes[count].at_ns = monotonic_ns();
            changes[count++].kib = kib;
        }
        usleep(period_us);
    }
    for (int i = 0; i < count; i++)
        printf("%lld %ld\n", (long long)changes[i].at_ns, changes[i].kib);
    return 0;
}
