/* local_seats.c: the seats of fabric.h for the `local` provider: a lock on one byte of the first node's memory file for
 * each seat, far behind its end. The kernel lets go of it when the process that holds it has ended, however it ended,
 * and that is after its last thread has lost the mappings: so who finds a lock free knows that nothing more is
 * written. A stopped process keeps its locks. No memory node takes part.
 *
 * The descriptor that came from the node is shared with all other clients, and with it its locks would be: so the
 * file is opened again, twice, because a lock does not show to the open file that holds it. Any thread. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "local.h"

#define SEATS_OFFSET (INT64_C(1) << 60) /* where no memory is */

static struct flock seat_lock(uint32_t seat, short type) {
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = (off_t)(SEATS_OFFSET + (int64_t)seat), .l_len = 1};
}

bool local_seats_open(struct local_fabric *fabric, int memory_fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory_fd);
    fabric->seats = open(path, O_RDWR | O_CLOEXEC);
    fabric->seats_probe = open(path, O_RDWR | O_CLOEXEC);
    struct flock lock = seat_lock(UINT32_MAX, F_WRLCK);
    return fabric->seats >= 0 && fabric->seats_probe >= 0 && fcntl(fabric->seats_probe, F_OFD_GETLK, &lock) == 0;
}

void local_seats_close(struct local_fabric *fabric) {
    if (fabric->seats >= 0)
        close(fabric->seats);
    if (fabric->seats_probe >= 0)
        close(fabric->seats_probe);
    fabric->seats = fabric->seats_probe = -1;
}

bool local_seat_take(struct dm_fabric *base, uint32_t seat) {
    const struct local_fabric *fabric = (const struct local_fabric *)base;
    struct flock lock = seat_lock(seat, F_WRLCK);
    return fabric->seats < 0 || fcntl(fabric->seats, F_OFD_SETLK, &lock) == 0;
}

void local_seat_leave(struct dm_fabric *base, uint32_t seat) {
    const struct local_fabric *fabric = (const struct local_fabric *)base;
    struct flock lock = seat_lock(seat, F_UNLCK);
    if (fabric->seats >= 0)
        (void)fcntl(fabric->seats, F_OFD_SETLK, &lock);
}

bool local_seat_empty(struct dm_fabric *base, uint32_t seat) {
    const struct local_fabric *fabric = (const struct local_fabric *)base;
    struct flock lock = seat_lock(seat, F_WRLCK);
    return fabric->seats_probe >= 0 && fcntl(fabric->seats_probe, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_UNLCK;
}
