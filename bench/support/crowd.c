/*
 * crowd COUNT MIB ADJ: COUNT idle processes called "crowd", and one more, younger than they, called "balloon", that
 * holds MIB MiB and has oom_score_adj ADJ. Forked, never exec'ed: ten thousand of them cost a second or two.
 * Says "ready PID", the balloon's, when all are there; SIGTERM ends them all.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* pid_max of a small machine. */
enum { COUNT_MAX = 32768 };

static pid_t children[COUNT_MAX];

static void be_idle(void)
{
    for (;;)
        pause();
}

static void be_balloon(size_t mib, const char *adj)
{
    FILE *file = fopen("/proc/self/oom_score_adj", "w");
    if (file == NULL || fputs(adj, file) < 0 || fclose(file) != 0)
        _exit(1);
    char *memory = malloc(mib << 20);
    if (memory == NULL)
        _exit(1);
    memset(memory, 1, mib << 20);
    /* Else the compiler sees that nobody reads it. */
    __asm__ volatile("" : : "r"(memory) : "memory");
    prctl(PR_SET_NAME, "balloon");
    printf("ready %d\n", getpid());
    fflush(stdout);
    be_idle();
}

int main(int argc, char **argv)
{
    int count = argc == 4 ? atoi(argv[1]) : -1;
    if (count < 0 || count >= COUNT_MAX)
        return 2;
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, NULL);

    int started = 0;
    while (started <= count) {
        pid_t pid = fork();
        if (pid < 0)
            break;
        if (pid == 0) {
            /* Whatever ends the parent ends the children. */
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            if (started == count)
                be_balloon(strtoul(argv[2], NULL, 10), argv[3]);
            be_idle();
        }
        children[started++] = pid;
    }

    int signal;
    if (started > count)
        sigwait(&term, &signal);
    for (int i = 0; i < started; i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    return started > count ? 0 : 1;
}
