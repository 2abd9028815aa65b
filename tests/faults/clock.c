/* A clock that somebody else moves: preloaded, it adds what stands in the file FALSE_CLOCK (seconds, a 64-bit integer) to
 * the date of a process, at once whenever that changes. The monotonic clock stays, as when the date of a machine is set.
 * Waits until a date get what was added taken off again, since the kernel knows the true date only. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t none = 0;
static const volatile int64_t *added = &none;

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real && !(real = dlvsym(RTLD_NEXT, #name, "GLIBC_2.3.2"))) real = dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void open_file(void) {
    const char *path = getenv("FALSE_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *page = mmap(NULL, sizeof *added, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) added = page;
    close(file);
}

static int is_date(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

/* What a wait is given may be of either clock, and only a date is that large. */
static const struct timespec *true_time(const struct timespec *until, struct timespec *room) {
    if (!until || until->tv_sec < 1000000000) return until;
    *room = *until;
    room->tv_sec -= *added;
    return room;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int failed = real(clock, now);
    if (!failed && is_date(clock)) now->tv_sec += *added;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    REAL(gettimeofday);
    int failed = real(now, zone);
    if (!failed && now) now->tv_sec += *added;
    return failed;
}

time_t time(time_t *where) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (where) *where = now.tv_sec;
    return now.tv_sec;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until, struct timespec *left) {
    struct timespec room;
    REAL(clock_nanosleep);
    return real(clock, flags, flags & TIMER_ABSTIME ? true_time(until, &room) : until, left);
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
    struct timespec room;
    REAL(pthread_cond_timedwait);
    return real(condition, mutex, true_time(until, &room));
}

int pthread_cond_clockwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, clockid_t clock,
                           const struct timespec *restrict until) {
    struct timespec room;
    REAL(pthread_cond_clockwait);
    return real(condition, mutex, clock, true_time(until, &room));
}

int pthread_mutex_timedlock(pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
    struct timespec room;
    REAL(pthread_mutex_timedlock);
    return real(mutex, true_time(until, &room));
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
    struct timespec room;
    REAL(sem_timedwait);
    return real(semaphore, true_time(until, &room));
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until) {
    struct timespec room;
    REAL(sem_clockwait);
    return real(semaphore, clock, true_time(until, &room));
}
