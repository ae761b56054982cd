/* TFTP load: clients that read one file again and again, all at once (RFC 1350, 2347-2349, 7440).
 *
 *   tftp ADDRESS PORT FILE OCTETS CLIENTS TIMES WINDOW BLOCK SECONDS [source=ADDRESS:COUNT]
 *        [crc=HEX]
 *   tftp serve ADDRESS PORT OCTETS          the sink: OCTETS of nothing for whoever asks
 *
 * Each of CLIENTS reads FILE TIMES times, with windowsize WINDOW and blksize BLOCK; after SECONDS
 * what is not there has failed. Client L speaks from the source's address plus L modulo COUNT, so
 * that many machines can be one program. A read is whole when all OCTETS came in order and, with
 * `crc`, their CRC-32 is that; else blocks are never copied (MSG_TRUNC, recv(2)).
 *
 * Prints one JSON object. A client waits 1 s for what it misses, as firmware does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#define MOST_CLIENTS 1024
#define MOST_BLOCK 9000
#define BATCH 32
#define PATIENCE 1000000000ull /* nanoseconds until a client asks again */
#define TRIES 12
#define NAME 128

enum { RRQ = 1, DATA = 3, ACK = 4, ERROR = 5, OACK = 6 };

struct client {
    int fd, known;            /* known: the server's port is, and the socket is connected to it */
    unsigned left;            /* reads still to make, this one among them */
    uint64_t octets;          /* of this read */
    uint32_t block, in_window, strange, window, size;
    unsigned tries;
    uint32_t crc;
    uint64_t heard;           /* when it last came on */
};

static struct sockaddr_in server;
static struct client *clients;
static char request[NAME + 64];
static size_t request_size;
static uint64_t wanted;
static unsigned count, running, times, window, block;
static struct in_addr source;
static unsigned sources;
static int poller, checks;
static uint32_t wanted_crc, crc_table[256];
static uint64_t finished, failed, again, strange, octets, datagrams;
static unsigned granted_window, granted_block;
static char complaint[100];

static void address(const char *text, struct in_addr *to)
{
    if (inet_pton(AF_INET, text, to) != 1) {
        fprintf(stderr, "%s is not an IPv4 address\n", text);
        exit(2);
    }
}

static void crc_prepare(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++)
            c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
        crc_table[i] = c;
    }
}

static uint32_t crc_of(uint32_t crc, const uint8_t *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        crc = crc_table[(crc ^ data[i]) & 0xFF] ^ (crc >> 8);
    return crc;
}

static void ask(struct client *c)
{
    /* A lost send is a lost datagram: the client asks again. */
    if (sendto(c->fd, request, request_size, 0, (struct sockaddr *)&server, sizeof server) < 0 &&
        errno != EAGAIN && errno != ENOBUFS && errno != ECONNREFUSED)
        die("sendto");
}

static void acknowledge(struct client *c)
{
    uint8_t packet[4] = {0, ACK, (uint8_t)(c->block >> 8), (uint8_t)c->block};
    c->in_window = 0;
    if (send(c->fd, packet, sizeof packet, 0) < 0 && errno != EAGAIN && errno != ENOBUFS &&
        errno != ECONNREFUSED)
        die("send");
}

static void begin(struct client *c)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    int room = 1 << 20;
    unsigned place = (unsigned)(c - clients);
    if (sources)
        from.sin_addr.s_addr = htonl(ntohl(source.s_addr) + place % sources);
    c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room))
        die("socket");
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from))
        die("bind");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event))
        die("epoll_ctl");
    c->known = 0;
    c->octets = 0;
    c->block = c->in_window = c->strange = 0;
    c->window = 1;
    c->size = 512;
    c->tries = 0;
    c->crc = 0xFFFFFFFFu;
    c->heard = now();
    ask(c);
}

static void over(struct client *c, int fine)
{
    close(c->fd);
    if (fine) {
        finished++;
        octets += c->octets;
    } else {
        failed++;
    }
    if (--c->left) {
        begin(c);
    } else {
        c->fd = -1;
        running--;
    }
}

static unsigned option(const char *at, const char *end, const char *name, unsigned otherwise)
{
    while (at < end) {
        const char *value = at + strnlen(at, (size_t)(end - at)) + 1;
        if (value >= end)
            break;
        if (!strcasecmp(at, name))
            return (unsigned)number(value, 1, 65535);
        at = value + strnlen(value, (size_t)(end - value)) + 1;
    }
    return otherwise;
}

/* A datagram from the read's server; `got` octets of `size` were copied. 0: the read is over. */
static int hear(struct client *c, const uint8_t *data, size_t got, size_t size)
{
    if (size < 4)
        return 1;
    datagrams++;
    unsigned kind = data[1], value = (unsigned)data[2] << 8 | data[3];
    if (kind == ERROR) {
        snprintf(complaint, sizeof complaint, "error %u", value);
        over(c, 0);
        return 0;
    }
    if (kind == OACK) {
        if (!c->octets)
            acknowledge(c);
        return 1;
    }
    if (kind != DATA)
        return 1;
    if (value != ((c->block + 1) & 0xFFFF)) {
        strange++;
        if (c->strange++ % c->window == 0) {
            again++;
            acknowledge(c);
        }
        return 1;
    }
    c->strange = 0;
    c->tries = 0;
    c->block++;
    c->octets += size - 4;
    if (checks)
        c->crc = crc_of(c->crc, data + 4, got - 4);
    int last = size - 4 < c->size;
    if (last || ++c->in_window >= c->window)
        acknowledge(c);
    if (!last)
        return 1;
    int fine = c->octets == wanted && (!checks || ~c->crc == wanted_crc);
    if (!fine)
        snprintf(complaint, sizeof complaint, "%llu octets, CRC %08x",
                 (unsigned long long)c->octets, ~c->crc);
    over(c, fine);
    return 0;
}

/* The first answer tells the server's port, and the options that it took. 0: the read is over. */
static int first(struct client *c)
{
    char data[MOST_BLOCK + 4];
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(c->fd, data, sizeof data - 1, 0, (struct sockaddr *)&from, &length);
    if (got < 4)
        return 1;
    data[got] = 0;
    if (connect(c->fd, (struct sockaddr *)&from, sizeof from))
        die("connect");
    c->known = 1;
    if (data[1] == OACK) {
        c->window = option(data + 2, data + got, "windowsize", 1);
        c->size = option(data + 2, data + got, "blksize", 512);
    }
    granted_window = c->window;
    granted_block = c->size;
    return hear(c, (uint8_t *)data, (size_t)got, (size_t)got);
}

static void readable(struct client *c)
{
    static uint8_t room[BATCH][MOST_BLOCK + 4];
    struct mmsghdr all[BATCH];
    struct iovec parts[BATCH];
    c->heard = now();
    if (!c->known && !first(c))
        return;
    for (;;) {
        unsigned most = c->window < BATCH ? c->window : BATCH;
        memset(all, 0, most * sizeof *all);
        for (unsigned i = 0; i < most; i++) {
            parts[i] = (struct iovec){room[i], checks ? sizeof room[i] : 4};
            all[i].msg_hdr.msg_iov = &parts[i];
            all[i].msg_hdr.msg_iovlen = 1;
        }
        int got = recvmmsg(c->fd, all, most, MSG_TRUNC, NULL);
        if (got < 0 && errno == ECONNREFUSED)
            continue;
        if (got <= 0)
            return;
        for (int i = 0; i < got; i++) {
            size_t size = all[i].msg_len;
            if (!hear(c, room[i], size < parts[i].iov_len ? size : parts[i].iov_len, size))
                return;
        }
        if ((unsigned)got < most)
            return;
    }
}

static void patience(uint64_t at)
{
    for (unsigned i = 0; i < count; i++) {
        struct client *c = clients + i;
        if (c->fd < 0 || at < c->heard + PATIENCE)
            continue;
        if (++c->tries > TRIES) {
            snprintf(complaint, sizeof complaint, "no answer");
            over(c, 0);
            continue;
        }
        c->heard = at;
        again++;
        if (c->known)
            acknowledge(c);
        else
            ask(c);
    }
}

static double run(uint64_t seconds)
{
    struct epoll_event events[256];
    uint64_t start = now(), look = start, at = start;
    for (unsigned i = 0; i < count; i++)
        begin(clients + i);
    while (running && at - start < seconds * 1000000000u) {
        int ready = epoll_wait(poller, events, 256, 10);
        for (int i = 0; i < ready; i++)
            readable(events[i].data.ptr);
        at = now();
        if (at - look > 10000000u) {
            patience(at);
            look = at;
        }
    }
    for (unsigned i = 0; i < count; i++)
        failed += clients[i].fd >= 0 ? clients[i].left : 0;
    return (double)(now() - start) / 1e9;
}

/* The sink: what the clients reach when nobody looks at anything. One transfer for each socket. */
struct sent { int fd; uint32_t base, blocks, window, size; };

static void send_window(struct sent *s)
{
    uint8_t note[CMSG_SPACE(sizeof(uint16_t))] = {0};
    uint32_t blocks = s->blocks - s->base < s->window ? s->blocks - s->base : s->window;
    uint32_t most = 65507 / (s->size + 4), done = 0;
    static uint8_t wire[65536];
    while (done < blocks) {
        uint32_t some = blocks - done < most ? blocks - done : most;
        size_t size = 0;
        for (uint32_t i = 0; i < some; i++) {
            uint32_t n = s->base + done + i + 1;
            size_t part = n == s->blocks ? wanted % s->size : s->size;
            uint8_t head[4] = {0, DATA, (uint8_t)(n >> 8), (uint8_t)n};
            memcpy(wire + size, head, 4);
            size += part + 4;
        }
        struct iovec part = {wire, size};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (some > 1) {
            message.msg_control = note;
            message.msg_controllen = sizeof note;
            struct cmsghdr *c = CMSG_FIRSTHDR(&message);
            c->cmsg_level = SOL_UDP;
            c->cmsg_type = UDP_SEGMENT;
            c->cmsg_len = CMSG_LEN(sizeof(uint16_t));
            uint16_t segment = (uint16_t)(s->size + 4);
            memcpy(CMSG_DATA(c), &segment, sizeof segment);
        }
        if (sendmsg(s->fd, &message, 0) < 0 && errno != EAGAIN && errno != ECONNREFUSED)
            die("sendmsg");
        done += some;
    }
}

static void welcome(int listener)
{
    char data[600];
    struct sockaddr_in from, own = server;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(listener, data, sizeof data - 1, 0, (struct sockaddr *)&from, &length);
    if (got < 4 || data[1] != RRQ)
        return;
    data[got] = 0;
    struct sent *s = calloc(1, sizeof *s);
    if (!s)
        die("memory");
    s->window = option(data + 2, data + got, "windowsize", 1);
    s->size = option(data + 2, data + got, "blksize", 512);
    s->blocks = (uint32_t)(wanted / s->size + 1);
    s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    own.sin_port = 0;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&own, sizeof own) ||
        connect(s->fd, (struct sockaddr *)&from, sizeof from) ||
        epoll_ctl(poller, EPOLL_CTL_ADD, s->fd, &event))
        die("transfer");
    char answer[64] = {0, OACK};
    int size = 2 + snprintf(answer + 2, 60, "blksize%c%u%cwindowsize%c%u", 0, s->size, 0, 0,
                            s->window) + 1;
    if (send(s->fd, answer, (size_t)size, 0) < 0)
        die("send");
}

static void serve(void)
{
    struct epoll_event events[256], mine = {.events = EPOLLIN, .data.ptr = NULL};
    int listener = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&server, sizeof server) ||
        epoll_ctl(poller, EPOLL_CTL_ADD, listener, &mine))
        die("listen");
    for (;;) {
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct sent *s = events[i].data.ptr;
            uint8_t data[4];
            if (!s) {
                welcome(listener);
                continue;
            }
            if (recv(s->fd, data, sizeof data, 0) == 4 && data[1] == ACK) {
                uint32_t ahead = (((uint32_t)data[2] << 8 | data[3]) - s->base) & 0xFFFF;
                s->base += ahead <= s->window ? ahead : 0;
                if (s->base < s->blocks) {
                    send_window(s);
                    continue;
                }
            }
            close(s->fd);
            free(s);
        }
    }
}

static void more(int argc, char **argv)
{
    for (int i = 10; i < argc; i++) {
        if (!strncmp(argv[i], "crc=", 4)) {
            checks = 1;
            wanted_crc = (uint32_t)number_in(argv[i] + 4, 0, 0xFFFFFFFFu, 16);
        } else if (!strncmp(argv[i], "source=", 7)) {
            char *colon = strchr(argv[i], ':');
            if (!colon) {
                fprintf(stderr, "%s has no count\n", argv[i]);
                exit(2);
            }
            *colon = 0;
            address(argv[i] + 7, &source);
            sources = (unsigned)number(colon + 1, 1, 65535);
        } else {
            fprintf(stderr, "%s is no option\n", argv[i]);
            exit(2);
        }
    }
}

int main(int argc, char **argv)
{
    int serves = argc == 5 && !strcmp(argv[1], "serve");
    if (argc < 10 && !serves) {
        fprintf(stderr, "tftp ADDRESS PORT FILE OCTETS CLIENTS TIMES WINDOW BLOCK SECONDS "
                        "[option...]\n");
        return 2;
    }
    server.sin_family = AF_INET;
    address(argv[1 + serves], &server.sin_addr);
    server.sin_port = htons((uint16_t)number(argv[2 + serves], 1, 65535));
    wanted = number(argv[4], 1, 1ull << 32);
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        die("epoll");
    if (serves)
        serve();
    count = running = (unsigned)number(argv[5], 1, MOST_CLIENTS);
    times = (unsigned)number(argv[6], 1, 100000);
    window = (unsigned)number(argv[7], 1, 65535);
    block = (unsigned)number(argv[8], 8, MOST_BLOCK);
    uint64_t seconds = number(argv[9], 1, 3600);
    more(argc, argv);
    if (strlen(argv[3]) > NAME) {
        fprintf(stderr, "%s is too long a name\n", argv[3]);
        return 2;
    }
    int size = snprintf(request, sizeof request, "%c%c%s%coctet%cblksize%c%u%c", 0, RRQ, argv[3],
                        0, 0, 0, block, 0);
    if (window > 1) /* firmware that knows no windows does not speak of them */
        size += snprintf(request + size, sizeof request - (size_t)size, "windowsize%c%u%c", 0,
                         window, 0);
    request_size = (size_t)size;
    crc_prepare();
    clients = calloc(count, sizeof *clients);
    if (!clients)
        die("memory");
    for (unsigned i = 0; i < count; i++) {
        clients[i].left = times;
        clients[i].fd = -1;
    }
    double took = run(seconds);
    printf("{\"seconds\": %.6f, \"octets\": %llu, \"finished\": %llu, \"failed\": %llu, "
           "\"again\": %llu, \"strange\": %llu, \"datagrams\": %llu, \"windowsize\": %u, "
           "\"blksize\": %u, \"complaint\": \"%s\"}\n",
           took, (unsigned long long)octets, (unsigned long long)finished,
           (unsigned long long)failed, (unsigned long long)again, (unsigned long long)strange,
           (unsigned long long)datagrams, granted_window, granted_block, complaint);
    return 0;
}
