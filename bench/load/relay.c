/* A bad network in user space: TFTP through a relay that delays and loses datagrams, by a seed.
 *
 *   relay LISTEN PORT SERVER SERVERPORT SOURCE DELAY LOSS SEED
 *
 * Clients ask LISTEN:PORT; the server sees them as SOURCE, each from a port of its own, and its
 * answer's port is where the client's next datagrams go (RFC 1350: transfer identifiers). Every
 * datagram comes DELAY microseconds later, each way, or with LOSS of 1,000 not at all: the same
 * ones for the same SEED and the same traffic. Says a line when it listens, and runs until it is
 * ended.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#define MOST_FLOWS 1024
#define QUEUE 16384 /* datagrams under way; more are lost, as in a router */
#define MOST_OCTETS 9000

struct flow {
    int inner, outer; /* towards the server, towards the client */
    struct sockaddr_in client, server;
};

struct packet {
    uint64_t due;
    int fd;
    struct sockaddr_in to;
    uint32_t size;
    uint8_t *bytes;
};

static struct flow flows[MOST_FLOWS];
static unsigned flows_count;
static struct packet queue[QUEUE];
static unsigned head, tail; /* oldest first: the delay is the same for all */
static struct sockaddr_in own, server, source;
static uint64_t delay, loss, state;
static int poller;

static struct sockaddr_in place(const char *text, const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    if (inet_pton(AF_INET, text, &at.sin_addr) != 1) {
        fprintf(stderr, "%s is not an IPv4 address\n", text);
        exit(2);
    }
    at.sin_port = htons((uint16_t)number(port, 0, 65535));
    return at;
}

/* xorshift64*: https://doi.org/10.18637/jss.v008.i14, and a multiplication */
static uint64_t dice(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (state * 2685821657736338717ull) >> 33;
}

static int udp(struct sockaddr_in at, uint64_t mark)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), room = 1 << 20;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = mark};
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) ||
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
        die("socket");
    return fd;
}

static int same(struct sockaddr_in a, struct sockaddr_in b)
{
    return a.sin_addr.s_addr == b.sin_addr.s_addr && a.sin_port == b.sin_port;
}

static struct flow *flow_of(struct sockaddr_in client)
{
    for (unsigned i = 0; i < flows_count; i++)
        if (same(flows[i].client, client))
            return flows + i;
    if (flows_count == MOST_FLOWS)
        return NULL;
    struct flow *f = flows + flows_count++;
    struct sockaddr_in any = own;
    any.sin_port = 0;
    f->client = client;
    f->server = server;
    f->inner = udp(source, (uint64_t)flows_count << 1);
    f->outer = udp(any, (uint64_t)flows_count << 1 | 1);
    return f;
}

static void later(int fd, struct sockaddr_in to, const uint8_t *bytes, size_t size)
{
    if (dice() % 1000 < loss || head - tail == QUEUE)
        return;
    struct packet *p = queue + head % QUEUE;
    p->bytes = malloc(size ? size : 1);
    if (!p->bytes)
        die("memory");
    memcpy(p->bytes, bytes, size);
    p->due = now() + delay;
    p->fd = fd;
    p->to = to;
    p->size = (uint32_t)size;
    head++;
}

static void hear(int listener, uint64_t mark)
{
    static uint8_t bytes[MOST_OCTETS];
    struct flow *f = mark ? flows + (mark >> 1) - 1 : NULL;
    int fd = !f ? listener : mark & 1 ? f->outer : f->inner;
    for (;;) {
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        ssize_t size = recvfrom(fd, bytes, sizeof bytes, 0, (struct sockaddr *)&from, &length);
        if (size < 0)
            return;
        if (!f) {
            struct flow *new = flow_of(from);
            if (new)
                later(new->inner, server, bytes, (size_t)size);
        } else if (fd == f->inner) {
            f->server = from;
            later(f->outer, f->client, bytes, (size_t)size);
        } else {
            later(f->inner, f->server, bytes, (size_t)size);
        }
    }
}

static void deliver(void)
{
    uint64_t at = now();
    while (tail != head && queue[tail % QUEUE].due <= at) {
        struct packet *p = queue + tail++ % QUEUE;
        /* What cannot be sent is lost. */
        (void)!sendto(p->fd, p->bytes, p->size, 0, (struct sockaddr *)&p->to, sizeof p->to);
        free(p->bytes);
    }
}

int main(int argc, char **argv)
{
    if (argc != 9) {
        fprintf(stderr, "relay LISTEN PORT SERVER SERVERPORT SOURCE DELAY LOSS SEED\n");
        return 2;
    }
    own = place(argv[1], argv[2]);
    server = place(argv[3], argv[4]);
    source = place(argv[5], "0");
    delay = number(argv[6], 0, 10000000) * 1000;
    loss = number(argv[7], 0, 1000);
    state = number(argv[8], 1, UINT32_MAX) * 0x9E3779B97F4A7C15ull;
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        die("epoll");
    int listener = udp(own, 0);
    puts("listening");
    fflush(stdout);
    struct pollfd waiting = {.fd = poller, .events = POLLIN};
    for (;;) {
        struct epoll_event events[64];
        struct timespec rest, *wait = NULL;
        if (tail != head) {
            uint64_t at = now(), due = queue[tail % QUEUE].due;
            uint64_t left = due > at ? due - at : 0;
            rest = (struct timespec){(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
            wait = &rest;
        }
        /* ppoll, not epoll_wait: delays are well under its millisecond. */
        if (ppoll(&waiting, 1, wait, NULL) < 0 && errno != EINTR)
            die("poll");
        deliver();
        int ready = epoll_wait(poller, events, 64, 0);
        for (int i = 0; i < ready; i++)
            hear(listener, events[i].data.u64);
    }
}
