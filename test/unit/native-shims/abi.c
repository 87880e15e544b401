/* What native-shims/ takes for granted of libc and the kernel's headers, as assertions of a compiler for each of them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <regex.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

#define IS(what, value) _Static_assert((what) == (value), #what)
#define AT_MOST(what, value) _Static_assert((what) <= (value), #what)

/* files.ts */
IS(O_CLOEXEC, 02000000);
IS(AT_FDCWD, -100);
#ifdef __aarch64__
IS(SYS_getdents64, 61);
#else
IS(SYS_getdents64, 217);
#endif
/* file-lock.ts */
IS(sizeof(struct flock), 32);
IS(offsetof(struct flock, l_type), 0);
IS(offsetof(struct flock, l_start), 8);
IS(offsetof(struct flock, l_len), 16);
IS(offsetof(struct flock, l_pid), 24);
IS(sizeof(((struct flock *)0)->l_type), 2);
IS(F_GETLK, 5);
IS(F_SETLK, 6);
IS(F_WRLCK, 1);
IS(F_UNLCK, 2);
IS(PROT_READ, 1);
IS(MAP_SHARED, 1);

AT_MOST(sizeof(struct statfs), 256);
IS(offsetof(struct statfs, f_bsize), 8);
IS(sizeof(((struct statfs *)0)->f_bsize), 8);
IS(offsetof(struct statfs, f_blocks), 16);
IS(offsetof(struct statfs, f_bfree), 24);
/* poll.ts */
IS(sizeof(struct pollfd), 8);
IS(offsetof(struct pollfd, events), 4);
IS(offsetof(struct pollfd, revents), 6);
IS(POLLIN, 1);
IS(POLLPRI, 2);
IS(POLLOUT, 4);
IS(POLLERR, 8);
/* pidfd.ts */
IS(SYS_pidfd_send_signal, 424);
IS(SYS_pidfd_open, 434);
IS(SYS_close_range, 436);
/* regex.ts */
AT_MOST(sizeof(regex_t), 256);
IS(REG_EXTENDED, 1);
IS(REG_NOSUB, 8);
/* spawn.ts */
AT_MOST(sizeof(posix_spawnattr_t), 1024);
AT_MOST(sizeof(sigset_t), 256);
IS(POSIX_SPAWN_SETPGROUP, 2);
IS(POSIX_SPAWN_SETSIGDEF, 4);
IS(POSIX_SPAWN_SETSIGMASK, 8);
AT_MOST(sizeof(siginfo_t), 128);
IS(offsetof(siginfo_t, si_code), 8);
IS(offsetof(siginfo_t, si_pid), 16);
IS(offsetof(siginfo_t, si_status), 24);
IS(P_PID, 1);
IS(WNOHANG, 1);
IS(WEXITED, 4);
IS(CLD_EXITED, 1);
IS(F_SETFD, 2);
/* libc.ts */
IS(F_SETFL, 4);
/* write.ts */
IS(MSG_DONTWAIT, 0x40);
IS(MSG_NOSIGNAL, 0x4000);
IS(AF_UNIX, 1);
IS(SOCK_DGRAM, 2);
IS(SOCK_CLOEXEC, 02000000);
IS(SOCK_NONBLOCK, 04000);
IS(offsetof(struct sockaddr_un, sun_path), 2);
IS(sizeof(((struct sockaddr_un *)0)->sun_path), 108);
/* priority.ts */
IS(PR_SET_NAME, 15);
IS(PR_CAP_AMBIENT, 47);
IS(PR_CAP_AMBIENT_CLEAR_ALL, 4);
/* clock.ts */
IS(CLOCK_MONOTONIC, 1);
IS(CLOCK_THREAD_CPUTIME_ID, 3);
IS(sizeof(struct timespec), 16);
IS(offsetof(struct timespec, tv_nsec), 8);

/* memory.ts */
#ifdef __aarch64__
IS(SYS_mlock2, 284);
#else
IS(SYS_mlock2, 325);
#endif
IS(MLOCK_ONFAULT, 1);
IS(MADV_DONTNEED, 4);
IS(MADV_DONTDUMP, 16);
IS(MADV_DODUMP, 17);
IS(RLIMIT_MEMLOCK, 8);
IS(sizeof(struct rlimit), 16);

/* The control: one that does not hold. */
#ifdef CONTROL
IS(POLLIN, 2);
#endif
