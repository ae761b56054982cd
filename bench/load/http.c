/* HTTP load: prepared requests over many connections, replies read and thrown away by the kernel.
 *
 *   http ADDRESS PORT FILE CLIENTS SECONDS [rate=N] [close] [cycle] [devices=PREFIX:COUNT]
 *   http serve ADDRESS PORT BYTES              the echo: BYTES octets of body for whatever comes
 *
 * FILE has requests, each as its length in decimal, a line feed, and that many octets. Request L is
 * sent by client L modulo CLIENTS, or with `rate` (requests per second, offered whatever comes
 * back) by whoever is free; its time counts from when it was due. `close`: a connection for each
 * request. `cycle`: from the start again at the end. `devices`: request L goes out by interface
 * PREFIX(L modulo COUNT), so that each machine has a card of its own.
 *
 * With `rate` and no `cycle` all of FILE is sent, after SECONDS too when it is late. A request whose
 * connection ends before its reply is `failed`; where that connection has brought replies before, it
 * is sent once more (`again`), for a server may end one that idled.
 *
 * Prints one JSON object. Bodies are never copied (MSG_TRUNC, tcp(7)), so the client costs little.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

#define MOST_CLIENTS 4096
#define HEAD 8192 /* octets of a reply's head */
#define SAMPLES (1u << 21)

struct request { const char *bytes; uint32_t size; };

struct client {
    int fd;
    size_t line;                /* the request under way */
    uint32_t sent;              /* octets of it */
    uint64_t since;             /* when it was due; 0: nothing is under way */
    char head[HEAD + 1];
    size_t got;                 /* octets of the head */
    uint64_t left;              /* octets of the body still to come */
    int in_body, status, last;  /* last: the server ends the connection after this reply */
    uint64_t served;            /* replies that this connection has brought */
    uint32_t waits_for;         /* epoll events that are asked for */
};

static struct sockaddr_in server;
static struct request *requests;
static size_t count, next_line;
static struct client *clients;
static size_t clients_count;
static int poller, closes, cycles, devices;
static int sends_all; /* also what was due and nobody was free for until the end */
static char prefix[12];
static uint64_t start, end, rate;
static uint64_t replies, fine, octets, failed, started, again;
static int odd_status;
static uint32_t *samples;
static size_t sampled;

static void load(const char *path)
{
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &about) < 0)
        die(path);
    size_t size = (size_t)about.st_size, room = 0;
    char *all = malloc(size + 1);
    if (!all || read(fd, all, size) != (ssize_t)size)
        die(path);
    close(fd);
    all[size] = 0;
    for (char *at = all; at < all + size;) {
        char *text;
        unsigned long length = strtoul(at, &text, 10);
        if (text == at || *text != '\n' || length > (size_t)(all + size - text - 1)) {
            fprintf(stderr, "%s is not a file of requests\n", path);
            exit(2);
        }
        if (count == room) {
            room = room ? 2 * room : 1024;
            requests = realloc(requests, room * sizeof *requests);
            if (!requests)
                die("memory");
        }
        requests[count++] = (struct request){text + 1, (uint32_t)length};
        at = text + 1 + length;
    }
    if (!count) {
        fprintf(stderr, "%s is empty\n", path);
        exit(2);
    }
}

static void wait_for(struct client *one, uint32_t events)
{
    struct epoll_event want = {.events = events, .data.ptr = one};
    if (one->waits_for == events)
        return;
    if (epoll_ctl(poller, one->waits_for ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, one->fd, &want) < 0)
        die("epoll_ctl");
    one->waits_for = events;
}

static void drop(struct client *one)
{
    if (one->fd >= 0)
        close(one->fd);
    one->fd = -1;
    one->waits_for = 0;
}

static int open_connection(struct client *one)
{
    int yes = 1;
    one->served = 0;
    one->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (one->fd < 0)
        die("socket");
    setsockopt(one->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (devices) {
        char name[32];
        snprintf(name, sizeof name, "%s%zu", prefix, one->line % (size_t)devices);
        if (setsockopt(one->fd, SOL_SOCKET, SO_BINDTODEVICE, name, strlen(name) + 1) < 0)
            die(name);
    }
    if (connect(one->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS)
        return -1;
    return 0;
}

static void push(struct client *one);

/* The next request for this client; none when all are sent, or not due yet. */
static void take(struct client *one, uint64_t at)
{
    one->since = 0;
    if (at >= end && !sends_all)
        return;
    if (rate) {
        if (next_line >= count && !cycles)
            return;
        uint64_t due = start + started * 1000000000u / rate;
        if (due > at)
            return;
        one->line = next_line++ % count;
        one->since = due;
    } else {
        if (started >= clients_count)
            one->line += clients_count;
        if (one->line >= count) {
            if (!cycles)
                return;
            one->line %= count;
        }
        one->since = at;
    }
    started++;
    one->sent = 0;
    one->got = 0;
    one->in_body = 0;
    if (one->fd < 0 && open_connection(one) < 0) {
        failed++;
        drop(one);
        one->since = 0;
        return;
    }
    push(one);
}

static void broken(struct client *one)
{
    /* A server may end a kept connection that idled: that request was never read. One that brought
     * no reply before did not idle, nor did the one that was opened for the second try. */
    int idled = one->served && one->got == 0 && !one->in_body;
    drop(one);
    if (!one->since)
        return;
    if (idled && open_connection(one) == 0) {
        again++;
        one->sent = 0;
        push(one);
        return;
    }
    failed++;
    drop(one);
    take(one, now());
}

static void push(struct client *one)
{
    const struct request *what = &requests[one->line];
    while (one->sent < what->size) {
        ssize_t n = send(one->fd, what->bytes + one->sent, what->size - one->sent, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EINPROGRESS || errno == ENOTCONN)) {
            wait_for(one, EPOLLOUT | EPOLLIN);
            return;
        }
        if (n < 0) {
            broken(one);
            return;
        }
        one->sent += (uint32_t)n;
    }
    wait_for(one, EPOLLIN);
}

static void done(struct client *one)
{
    uint64_t at = now(), took = at - one->since;
    replies++;
    one->served++;
    if (one->status >= 200 && one->status < 300)
        fine++;
    else
        odd_status = one->status;
    if (sampled < SAMPLES)
        samples[sampled++] = took / 1000 > UINT32_MAX ? UINT32_MAX : (uint32_t)(took / 1000);
    if (closes || one->last)
        drop(one);
    take(one, at);
}

static int head_is_whole(struct client *one)
{
    one->head[one->got] = 0;
    char *blank = strstr(one->head, "\r\n\r\n");
    if (!blank)
        return 0;
    size_t rest = one->got - (size_t)(blank + 4 - one->head);
    blank[2] = 0;
    if (sscanf(one->head, "HTTP/1.%*d %d", &one->status) != 1)
        one->status = 0;
    char *length = strcasestr(one->head, "\r\nContent-Length:");
    char *kept = strcasestr(one->head, "\r\nConnection: close");
    uint64_t size = length ? strtoull(length + 17, NULL, 10) : 0;
    one->last = kept != NULL;
    one->left = size > rest ? size - rest : 0;
    octets += rest;
    one->in_body = 1;
    return 1;
}

static void pull(struct client *one)
{
    while (one->since) {
        ssize_t n;
        if (!one->in_body) {
            if (one->got == HEAD) {
                errno = EMSGSIZE;
                die("a reply's head");
            }
            n = recv(one->fd, one->head + one->got, HEAD - one->got, 0);
        } else {
            size_t want = one->left < (1u << 20) ? one->left : 1u << 20;
            n = recv(one->fd, NULL, want, MSG_TRUNC);
        }
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0) {
            broken(one);
            return;
        }
        if (one->in_body) {
            one->left -= (uint64_t)n;
            octets += (uint64_t)n;
        } else {
            one->got += (size_t)n;
            if (!head_is_whole(one))
                continue;
        }
        if (one->left == 0) {
            done(one);
            return;
        }
    }
}

static void idle_read(struct client *one)
{
    char rest[64];
    if (recv(one->fd, rest, sizeof rest, 0) == 0 || errno != EAGAIN)
        drop(one);
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

static size_t busy(void)
{
    size_t n = 0;
    for (size_t i = 0; i < clients_count; i++)
        n += clients[i].since != 0;
    return n;
}

static void offer(uint64_t at)
{
    for (size_t i = 0; i < clients_count; i++)
        if (!clients[i].since) {
            uint64_t before = started;
            take(&clients[i], at);
            if (started == before)
                return; /* nothing is due */
        }
}

static void run(double seconds, int whole)
{
    struct epoll_event events[256];
    start = now();
    end = start + (uint64_t)(seconds * 1e9);
    sends_all = rate && !cycles;
    for (size_t i = 0; i < clients_count && !rate; i++) {
        clients[i].line = i;
        take(&clients[i], start);
    }
    uint64_t grace = end + 10000000000u; /* with a rate or a list, all replies are waited for */
    for (;;) {
        uint64_t at = now();
        if (rate)
            offer(at);
        size_t under_way = busy();
        if (at >= (whole ? grace : end) || (at >= end && !under_way && !sends_all))
            break;
        if (!under_way && !cycles && (rate ? next_line : started) >= count)
            break;
        int n = epoll_wait(poller, events, 256, rate ? 1 : 20);
        if (n < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < n; i++) {
            struct client *one = events[i].data.ptr;
            if (one->fd < 0)
                continue;
            if (!one->since)
                idle_read(one);
            else if (one->sent < requests[one->line].size)
                push(one);
            else
                pull(one);
        }
    }
}

static void serve(const char *size)
{
    static char block[1 << 20], drain[1 << 16];
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    uint64_t body = (uint64_t)number(size, 0, 1L << 40), left[1024] = {0};
    int n = snprintf(block, 512, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
                     (unsigned long long)body);
    size_t head = (size_t)n;
    struct epoll_event event = {.events = EPOLLIN}, events[256];
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&server, sizeof server) < 0 || listen(listener, 512) < 0)
        die("bind");
    event.data.fd = listener;
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        n = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < n; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0 || fd >= 1024)
                    die("accept");
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                event.data.fd = fd;
                event.events = EPOLLIN;
                left[fd] = 0;
                epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            if (left[fd] == 0) {
                if (recv(fd, drain, sizeof drain, 0) <= 0) {
                    close(fd);
                    continue;
                }
                left[fd] = head + body;
            }
            while (left[fd]) { /* the block begins with the head; zeros follow */
                uint64_t done = head + body - left[fd], from = done < head ? done : head;
                size_t most = sizeof block - from;
                ssize_t sent = send(fd, block + from, left[fd] < most ? left[fd] : most,
                                    MSG_NOSIGNAL);
                if (sent < 0)
                    break;
                left[fd] -= (uint64_t)sent;
            }
            event.data.fd = fd;
            event.events = left[fd] ? EPOLLOUT : EPOLLIN;
            epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event);
        }
    }
}

static void options(int argc, char **argv)
{
    for (int i = 6; i < argc; i++) {
        if (!strcmp(argv[i], "close"))
            closes = 1;
        else if (!strcmp(argv[i], "cycle"))
            cycles = 1;
        else if (!strncmp(argv[i], "rate=", 5))
            rate = (uint64_t)number(argv[i] + 5, 1, 10000000);
        else if (!strncmp(argv[i], "devices=", 8) && strchr(argv[i], ':')) {
            char *colon = strchr(argv[i], ':');
            *colon = 0;
            snprintf(prefix, sizeof prefix, "%s", argv[i] + 8);
            devices = (int)number(colon + 1, 1, 4096);
        } else {
            fprintf(stderr, "there is no option %s\n", argv[i]);
            exit(2);
        }
    }
    if (devices && !closes && (clients_count != (size_t)devices || rate)) {
        fprintf(stderr, "kept connections stay on their device: as many clients as devices\n");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    int serves = argc == 5 && !strcmp(argv[1], "serve");
    if (argc < 6 && !serves) {
        fprintf(stderr, "http ADDRESS PORT FILE CLIENTS SECONDS [option…]\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)number(argv[2 + serves], 1, 65535));
    if (inet_pton(AF_INET, argv[1 + serves], &server.sin_addr) != 1) {
        fprintf(stderr, "%s is not an IPv4 address\n", argv[1 + serves]);
        return 2;
    }
    poller = epoll_create1(EPOLL_CLOEXEC);
    if (poller < 0)
        die("epoll");
    if (serves)
        serve(argv[4]);
    load(argv[3]);
    clients_count = (size_t)number(argv[4], 1, MOST_CLIENTS);
    long seconds = number(argv[5], 1, 3600);
    options(argc, argv);
    clients = calloc(clients_count, sizeof *clients);
    samples = malloc(SAMPLES * sizeof *samples);
    if (!clients || !samples)
        die("memory");
    for (size_t i = 0; i < clients_count; i++)
        clients[i].fd = -1;
    run((double)seconds, rate || !cycles);
    double took = (double)(now() - start) / 1e9;
    qsort(samples, sampled, sizeof *samples, compare);
    printf("{\"seconds\": %.6f, \"started\": %llu, \"replies\": %llu, \"fine\": %llu, "
           "\"octets\": %llu, \"failed\": %llu, \"again\": %llu, \"odd_status\": %d, "
           "\"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u}\n",
           took, (unsigned long long)started, (unsigned long long)replies,
           (unsigned long long)fine, (unsigned long long)octets, (unsigned long long)failed,
           (unsigned long long)again, odd_status, percentile(500), percentile(990), percentile(1000));
    return 0;
}
