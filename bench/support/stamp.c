/*
 * stamp PROGRAM [ARG...]: runs PROGRAM and prints its lines, of stdout and stderr alike, each behind the time
 * (CLOCK_MONOTONIC, ns) at which it was written. First a line of its own, "pid PID", behind the time of the fork.
 *
 * It waits at a real-time priority, so that it is there within microseconds whatever else the machine does: Node's
 * event loop is late by a tenth of a millisecond, or by several with busy neighbours, and then takes two lines for one.
 */
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* Prints the lines that are complete; returns how many bytes at the start of `text` remain. */
static size_t print_lines(char *text, size_t length, int64_t at_ns)
{
    char *start = text;
    char *end = text + length;
    for (char *newline; (newline = memchr(start, '\n', end - start)) != NULL; start = newline + 1)
        printf("%lld %.*s\n", (long long)at_ns, (int)(newline - start), start);
    fflush(stdout);
    memmove(text, start, end - start);
    return end - start;
}

int main(int argc, char **argv)
{
    int ends[2];
    if (argc < 2 || pipe(ends) != 0)
        return 2;
    int64_t forked_ns = monotonic_ns();
    pid_t pid = fork();
    if (pid < 0)
        return 2;
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(ends[1], STDOUT_FILENO);
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    close(ends[1]);
    struct sched_param priority = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_FIFO, &priority) != 0)
        fprintf(stderr, "stamp: no real-time priority, times are less exact\n");
    printf("%lld pid %d\n", (long long)forked_ns, pid);
    fflush(stdout);

    static char text[65536];
    size_t kept = 0;
    ssize_t length;
    while (kept < sizeof(text) && (length = read(ends[0], text + kept, sizeof(text) - kept)) > 0)
        kept = print_lines(text, kept + length, monotonic_ns());

    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
