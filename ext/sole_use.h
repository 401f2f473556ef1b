/* A mark on an object that only one thread may use at a time: misuse becomes an error instead of a crash. */
#ifndef OCCY_SOLE_USE_H
#define OCCY_SOLE_USE_H

/* 1 when *mark* was free and is now taken. */
static inline int occy_take(unsigned char *mark)
{
    return !__atomic_test_and_set(mark, __ATOMIC_ACQUIRE);
}

static inline void occy_leave(unsigned char *mark)
{
    __atomic_clear(mark, __ATOMIC_RELEASE);
}

#endif
