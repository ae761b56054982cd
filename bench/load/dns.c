/* DNS load: prepared questions over UDP, so many outstanding, replies checked and counted.
 *
 *   dns ADDRESS PORT FILE OUTSTANDING SECONDS
 *   dns serve ADDRESS PORT              the echo: each datagram back, marked as a reply
 *
 * FILE has messages, each as two octets of length and the message; they are asked in turn, each with
 * an id of its own. Four sockets, as four clients; system calls take up to 32 datagrams (sendmmsg).
 * A question that is not answered within a second counts as lost.
 *
 * Prints one JSON object.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#define SOCKETS 4
#define BATCH 32
#define ROOM 1500
#define SLOTS 1024 /* outstanding on one socket at most; the low bits of the id */
#define SAMPLES (1u << 22)
#define PATIENCE 1000000000u

struct question { const uint8_t *bytes; uint16_t size; };

struct asker {
    int fd;
    uint64_t since[SLOTS]; /* 0: nobody waits in this slot */
    uint16_t turn[SLOTS];  /* the high bits of the id that is waited for */
};

static struct sockaddr_in server;
static struct question *questions;
static size_t count, next_question;
static struct asker askers[SOCKETS];
static unsigned window;
static uint64_t asked, answered, lost, odd;
static int odd_code;
static uint32_t *samples;
static size_t sampled;

static uint8_t boxes[BATCH][ROOM];
static struct iovec vectors[BATCH];
static struct mmsghdr messages[BATCH];

static void load(const char *path)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) < 0)
        die(path);
    size_t size = (size_t)about.st_size, at = 0;
    uint8_t *all = malloc(size + 1);
    questions = calloc(size / 14 + 1, sizeof *questions);
    if (!all || !questions || read(fd, all, size) != (ssize_t)size)
        die(path);
    close(fd);
    while (at + 2 <= size) {
        uint16_t length = (uint16_t)(all[at] << 8 | all[at + 1]);
        at += 2;
        if (length < 12 || length > 512 || length > size - at)
            break;
        questions[count++] = (struct question){all + at, length};
        at += length;
    }
    if (!count || at != size) {
        fprintf(stderr, "%s is not a file of messages\n", path);
        exit(2);
    }
}

static void ask(struct asker *one, const unsigned *slots, unsigned n, uint64_t at)
{
    for (unsigned i = 0; i < n; i++) {
        const struct question *what = &questions[next_question++ % count];
        unsigned slot = slots[i];
        uint16_t turn = one->turn[slot] = (uint16_t)((one->turn[slot] + 1) & 63);
        uint16_t id = (uint16_t)(turn << 10 | slot);
        memcpy(boxes[i], what->bytes, what->size);
        boxes[i][0] = (uint8_t)(id >> 8);
        boxes[i][1] = (uint8_t)id;
        vectors[i].iov_len = what->size;
        one->since[slot] = at;
    }
    asked += n;
    for (unsigned done = 0; done < n;) {
        int sent = sendmmsg(one->fd, messages + done, n - done, 0);
        if (sent < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ECONNREFUSED))
            return; /* they count as lost */
        if (sent < 0)
            die("sendmmsg");
        done += (unsigned)sent;
    }
}

static void take(struct asker *one, int asks)
{
    unsigned free_slots[BATCH], n = 0;
    for (unsigned i = 0; i < BATCH; i++)
        vectors[i].iov_len = ROOM;
    int got = recvmmsg(one->fd, messages, BATCH, MSG_DONTWAIT, NULL);
    uint64_t at = now();
    for (int i = 0; i < got; i++) {
        const uint8_t *reply = boxes[i];
        unsigned size = messages[i].msg_len, slot = (unsigned)(reply[0] << 8 | reply[1]) & 1023;
        uint16_t turn = reply[0] >> 2;
        if (size < 12 || !(reply[2] & 0x80) || !one->since[slot] || one->turn[slot] != turn)
            continue; /* late, or not for us */
        if (sampled < SAMPLES)
            samples[sampled++] = (uint32_t)((at - one->since[slot]) / 1000);
        answered++;
        if ((reply[3] & 15) || !(reply[6] | reply[7])) {
            odd++;
            odd_code = reply[3] & 15;
        }
        one->since[slot] = 0;
        free_slots[n++] = slot;
    }
    if (asks && n)
        ask(one, free_slots, n, at);
}

static void look_for_lost(struct asker *one, uint64_t at)
{
    unsigned late[BATCH], n = 0;
    for (unsigned slot = 0; slot < window && n < BATCH; slot++)
        if (one->since[slot] && at - one->since[slot] > PATIENCE)
            late[n++] = slot;
    lost += n;
    if (n)
        ask(one, late, n, at);
}

static void run(uint64_t end)
{
    struct pollfd waits[SOCKETS];
    for (int i = 0; i < SOCKETS; i++) {
        askers[i].fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (askers[i].fd < 0 || connect(askers[i].fd, (struct sockaddr *)&server, sizeof server))
            die("connect");
        waits[i] = (struct pollfd){.fd = askers[i].fd, .events = POLLIN};
        for (unsigned slot = 0; slot < window; slot += BATCH) {
            unsigned some[BATCH], n = 0;
            while (n < BATCH && slot + n < window) {
                some[n] = slot + n;
                n++;
            }
            ask(&askers[i], some, n, now());
        }
    }
    for (uint64_t at = now(), looked = at; at < end; at = now()) {
        if (poll(waits, SOCKETS, 100) < 0)
            die("poll");
        for (int i = 0; i < SOCKETS; i++)
            if (waits[i].revents)
                take(&askers[i], 1);
        if (at - looked > PATIENCE / 4) {
            looked = at;
            for (int i = 0; i < SOCKETS; i++)
                look_for_lost(&askers[i], now());
        }
    }
}

static void serve(void)
{
    static struct sockaddr_in from[BATCH];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&server, sizeof server))
        die("bind");
    for (int i = 0; i < BATCH; i++)
        messages[i].msg_hdr.msg_name = &from[i];
    for (;;) {
        for (int i = 0; i < BATCH; i++) {
            vectors[i].iov_len = ROOM;
            messages[i].msg_hdr.msg_namelen = sizeof from[i];
        }
        int got = recvmmsg(fd, messages, BATCH, MSG_WAITFORONE, NULL);
        for (int i = 0; i < got; i++) {
            vectors[i].iov_len = messages[i].msg_len;
            boxes[i][2] |= 0x80;
            boxes[i][7] |= 1; /* as if it had an answer */
        }
        if (got > 0)
            sendmmsg(fd, messages, (unsigned)got, 0);
    }
}

static int compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
    return a < b ? -1 : a > b;
}

static uint32_t percentile(unsigned per_thousand)
{
    return sampled ? samples[(sampled - 1) * per_thousand / 1000] : 0;
}

int main(int argc, char **argv)
{
    int serves = argc == 4 && !strcmp(argv[1], "serve");
    if (argc != 6 && !serves) {
        fprintf(stderr, "dns ADDRESS PORT FILE OUTSTANDING SECONDS\n");
        return 2;
    }
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)number(argv[2 + serves], 1, 65535));
    if (inet_pton(AF_INET, argv[1 + serves], &server.sin_addr) != 1) {
        fprintf(stderr, "%s is not an IPv4 address\n", argv[1 + serves]);
        return 2;
    }
    for (int i = 0; i < BATCH; i++) {
        vectors[i].iov_base = boxes[i];
        messages[i].msg_hdr.msg_iov = &vectors[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    if (serves)
        serve();
    load(argv[3]);
    window = (unsigned)number(argv[4], SOCKETS, SOCKETS * SLOTS) / SOCKETS;
    long seconds = number(argv[5], 1, 3600);
    samples = malloc(SAMPLES * sizeof *samples);
    if (!samples)
        die("memory");
    uint64_t start = now();
    run(start + (uint64_t)seconds * 1000000000u);
    double took = (double)(now() - start) / 1e9;
    qsort(samples, sampled, sizeof *samples, compare);
    printf("{\"seconds\": %.6f, \"asked\": %llu, \"answered\": %llu, \"lost\": %llu, "
           "\"odd\": %llu, \"odd_code\": %d, \"p50_us\": %u, \"p99_us\": %u}\n",
           took, (unsigned long long)asked, (unsigned long long)answered,
           (unsigned long long)lost, (unsigned long long)odd, odd_code, percentile(500),
           percentile(990));
    return 0;
}
