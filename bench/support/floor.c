/*
 * floor: what no guard can be cheaper than: sleeps a second and reads /proc/meminfo, for ever, and does nothing with it.
 */
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

int main(void)
{
    int meminfo = open("/proc/meminfo", O_RDONLY);
    char text[4096];
    while (meminfo >= 0) {
        poll(NULL, 0, 1000);
        if (pread(meminfo, text, sizeof(text), 0) <= 0)
            return 1;
    }
    return 1;
}
