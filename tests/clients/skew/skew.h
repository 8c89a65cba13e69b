/* Compiled into the client: the clock of the day is SKEW_S seconds wrong. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <time.h>

static int skewed_clock(clockid_t id, struct timespec *time) {
    int failed = clock_gettime(id, time);
    if (id == CLOCK_REALTIME) time->tv_sec += atoi(getenv("SKEW_S"));
    return failed;
}
#define clock_gettime skewed_clock
