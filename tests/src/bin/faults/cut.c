// Cuts the power of a mounted file system: nothing that is not on its disk by now ever gets there.
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, unsigned)
#define NO_LOG_FLUSH 2u

int main(int count, char **arguments) {
    unsigned how = NO_LOG_FLUSH;
    int fd = count == 2 ? open(arguments[1], O_RDONLY) : -1;
    if (fd < 0 || ioctl(fd, EXT4_IOC_SHUTDOWN, &how)) {
        perror("the power could not be cut");
        return 1;
    }
    return 0;
}
