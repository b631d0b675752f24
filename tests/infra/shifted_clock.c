/* Preloaded into one process: its calendar is SHIFTED_BY seconds off; what counts from a start (CLOCK_MONOTONIC) is not.
   The kernel's calendar stays right, so a wait until a moment of the calendar is handed on as what it means there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

static long shift(void) {
    static long known, read;
    if (!read) {
        const char *said = getenv("SHIFTED_BY");
        known = said ? atol(said) : 0;
        read = 1;
    }
    return known;
}

int clock_gettime(clockid_t which, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, which, now);
    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE)) now->tv_sec += shift();
    return failed;
}

int gettimeofday(struct timeval *now, void *zone) {
    struct timespec found;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &found)) return -1;
    now->tv_sec = found.tv_sec;
    now->tv_usec = found.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *there) {
    struct timespec found;
    if (clock_gettime(CLOCK_REALTIME, &found)) return (time_t)-1;
    if (there) *there = found.tv_sec;
    return found.tv_sec;
}

int timespec_get(struct timespec *now, int base) {
    return base == TIME_UTC && !clock_gettime(CLOCK_REALTIME, now) ? base : 0;
}

/* Moments of the calendar are far above those that are counted from the machine's start. */
static struct timespec meant(const struct timespec *until) {
    struct timespec there = *until;
    if (there.tv_sec > 1000000000) there.tv_sec -= shift();
    return there;
}

int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec there = meant(until);
    /* The version without a number is that of another, older struct. */
    if (!real) *(void **)&real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    return real(cond, mutex, &there);
}

int sem_timedwait(sem_t *sem, const struct timespec *until) {
    static int (*real)(sem_t *, const struct timespec *);
    struct timespec there = meant(until);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "sem_timedwait");
    return real(sem, &there);
}

int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until) {
    static int (*real)(cnd_t *, mtx_t *, const struct timespec *);
    struct timespec there = meant(until);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "cnd_timedwait");
    return real(cond, mutex, &there);
}
