/* What every generator needs: a clock, an end with words, and numbers from its command line. */

#ifndef PROGRAM_H
#define PROGRAM_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Nanoseconds of a clock that only goes forward. */
static inline uint64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* End because of `errno`. */
static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* A number in its limits; the end of the program if it is none. */
static inline uint64_t number_in(const char *text, uint64_t least, uint64_t most, int base)
{
    char *rest;
    errno = 0;
    unsigned long long value = strtoull(text, &rest, base);
    if (errno || rest == text || *rest || *text == '-' || value < least || value > most) {
        fprintf(stderr, "%s is not a number from %llu to %llu\n", text, (unsigned long long)least,
                (unsigned long long)most);
        exit(2);
    }
    return value;
}

static inline uint64_t number(const char *text, uint64_t least, uint64_t most)
{
    return number_in(text, least, most, 10);
}

#endif
