/*
 * scan-floor: what no choice of a victim that lists /proc and reads one file of each process can be quicker than: does
 * that each second, with the system calls that the guard makes, and takes nothing from what it reads. Says "begins" and "ends".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As many files are closed together. */
enum { BATCH = 8 };

static char dirents[4096];
static int fds[BATCH];
static int open_files;

static void close_all(void)
{
    if (open_files > 0)
        syscall(SYS_close_range, fds[0], fds[open_files - 1], 0);
    open_files = 0;
}

static void read_score(int proc, const char *pid)
{
    char path[64];
    char text[4096];
    snprintf(path, sizeof(path), "%s/oom_score", pid);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    pread(fd, text, sizeof(text), 0);
    fds[open_files++] = fd;
    if (open_files == BATCH)
        close_all();
}

int main(void)
{
    int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    setvbuf(stdout, NULL, _IOLBF, 0);
    while (proc >= 0) {
        sleep(1);
        puts("begins");
        lseek(proc, 0, SEEK_SET);
        long length;
        while ((length = syscall(SYS_getdents64, proc, dirents, sizeof(dirents))) > 0) {
            /* struct linux_dirent64: d_reclen at 16, d_name at 19. */
            for (long at = 0; at < length; at += *(unsigned short *)(dirents + at + 16)) {
                const char *name = dirents + at + 19;
                if (*name >= '1' && *name <= '9')
                    read_score(proc, name);
            }
        }
        close_all();
        puts("ends");
    }
    return 1;
}
