/* DHCP clients by the thousand, on one cable: edk2's DISCOVER, frames of our own making (packet(7)).
 *
 *   dhcp offer  INTERFACE SECONDS OUTSTANDING FIRST COUNT   DISCOVER to OFFER, for so long
 *   dhcp lease  INTERFACE OUTSTANDING FIRST COUNT           each card once to its ACK
 *   dhcp ignore INTERFACE SECONDS RATE FIRST COUNT          DISCOVERs to which no answer is due
 *   dhcp echo   INTERFACE                                   answers everyone, until it is ended
 *
 * Cards are 52:54:NN:NN:NN:NN from number FIRST on. Prints one JSON object. An answer that does not
 * come within a second is counted as lost, with that second among the times, and asked for again.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "program.h"

enum {
    DISCOVER = 1, OFFER = 2, REQUEST = 3, ACK = 5,
    MOST = 1024,      /* outstanding */
    BATCH = 64,       /* frames in one system call */
    FRAME = 1514,
    UDP = 34, BOOTP = 42, XID = 46, YIADDR = 58, CHADDR = 70, OPTIONS = 282,
    TRIES = 30,
    SPIN = 20,        /* empty looks at the socket before it is waited for */
};
static const uint64_t PATIENCE = 1000000000;
static const size_t KEPT = 8u << 20; /* latencies */

struct slot {
    uint32_t xid, card;
    uint64_t began, sent;
    uint8_t expects, address[4], server[4];
    int tries;
    int busy;
};

static struct slot slots[MOST];
static unsigned outstanding;
static uint32_t sequence, first, count, next_card;
static uint32_t *latencies;
static size_t answers, noted, lost, stray, sent_frames;
static int wire;

static struct mmsghdr out[BATCH], in[BATCH];
static struct iovec out_at[BATCH], in_at[BATCH];
static uint8_t out_frames[BATCH][FRAME], in_frames[BATCH][FRAME];
static unsigned waiting;

/* Words as the wire has them: the sum of RFC 1071 does not depend on the order of octets. */
static uint32_t sum(const uint8_t *data, size_t size, uint32_t total) {
    uint16_t word;
    for (; size > 1; size -= 2, data += 2) {
        memcpy(&word, data, 2);
        total += word;
    }
    if (size) {
        word = 0;
        memcpy(&word, data, 1);
        total += word;
    }
    return total;
}

static uint16_t fold(uint32_t total) {
    while (total >> 16) total = (total & 0xffff) + (total >> 16);
    return (uint16_t)~total;
}

static void flush(void) {
    unsigned done = 0;
    while (done < waiting) {
        int n = sendmmsg(wire, out + done, waiting - done, 0);
        if (n < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR) die("send");
        if (n > 0) done += (unsigned)n;
    }
    sent_frames += waiting;
    waiting = 0;
}

static uint8_t *option(uint8_t *at, uint8_t code, uint8_t size, const void *value) {
    *at++ = code;
    *at++ = size;
    memcpy(at, value, size);
    return at + size;
}

static void card_of(uint32_t number, uint8_t *mac) {
    uint32_t tail = htonl(number);
    mac[0] = 0x52;
    mac[1] = 0x54;
    memcpy(mac + 2, &tail, 4);
}

static size_t headers(uint8_t *frame, const uint8_t *mac, size_t bootp, int from, int to) {
    uint16_t value;
    static const uint8_t ip[] = {0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, 17};
    memset(frame, 0xff, 6);
    memcpy(frame + 6, mac, 6);
    frame[12] = 8, frame[13] = 0;
    memset(frame + 14, 0, 28);
    memcpy(frame + 14, ip, sizeof ip);
    value = htons((uint16_t)(28 + bootp));
    memcpy(frame + 16, &value, 2);
    memset(frame + 30, 0xff, 4);
    value = fold(sum(frame + 14, 20, 0));
    memcpy(frame + 24, &value, 2);
    value = htons((uint16_t)from);
    memcpy(frame + UDP, &value, 2);
    value = htons((uint16_t)to);
    memcpy(frame + UDP + 2, &value, 2);
    value = htons((uint16_t)(8 + bootp));
    memcpy(frame + UDP + 4, &value, 2);
    value = fold(sum(frame + 26, 8, sum(frame + UDP, 8 + bootp, htons(17) + (uint32_t)value)));
    memcpy(frame + UDP + 6, &value, 2);
    return BOOTP + bootp;
}

/* As OVMF sent it in our captures: this order, these values, the broadcast flag. */
static size_t compose(uint8_t *frame, const struct slot *slot, uint8_t kind) {
    static const uint8_t wanted[] = {1,  2,  3,  4,  5,  6,  12, 13, 15, 17,  18,  22,
                                     23, 28, 40, 41, 42, 43, 50, 51, 54, 58,  59,  60,
                                     66, 67, 97, 128, 129, 130, 131, 132, 133, 134, 135};
    static const char class[] = "PXEClient:Arch:00007:UNDI:003000";
    uint8_t mac[6], uuid[17] = {0, 0x2e, 0x0e, 0x2e, 0x0e, 0, 0x77, 0, 0x40, 0x80, 0};
    uint8_t *at = frame + OPTIONS;
    uint32_t xid = htonl(slot->xid);
    card_of(slot->card, mac);
    memcpy(uuid + 11, mac, 6);
    memset(frame + BOOTP, 0, OPTIONS - BOOTP);
    memcpy(frame + BOOTP, "\1\1\6", 3);
    memcpy(frame + XID, &xid, 4);
    frame[BOOTP + 10] = 0x80;
    memcpy(frame + CHADDR, mac, 6);
    memcpy(frame + OPTIONS - 4, "\x63\x82\x53\x63", 4);
    at = option(at, 53, 1, &kind);
    if (kind == REQUEST) {
        at = option(at, 50, 4, slot->address);
        at = option(at, 54, 4, slot->server);
    }
    at = option(at, 57, 2, "\x05\xc0");
    at = option(at, 55, sizeof wanted, wanted);
    at = option(at, 97, 17, uuid);
    at = option(at, 94, 3, "\1\3\0");
    at = option(at, 93, 2, "\0\7");
    at = option(at, 60, sizeof class - 1, class);
    *at++ = 255;
    return headers(frame, mac, (size_t)(at - frame - BOOTP), 68, 67);
}

static void send_for(struct slot *slot, uint8_t kind) {
    if (waiting == BATCH) flush();
    slot->sent = now();
    slot->expects = kind == DISCOVER ? OFFER : ACK;
    out_at[waiting].iov_len = compose(out_frames[waiting], slot, kind);
    waiting++;
}

static void discover(unsigned number) {
    struct slot *slot = &slots[number];
    slot->xid = sequence++ * MOST + number;
    slot->busy = 1;
    send_for(slot, DISCOVER);
}

/* The next card's turn; in a lease run each has one only. */
static void begin(unsigned number, int once) {
    struct slot *slot = &slots[number];
    if (once && next_card == count) {
        slot->busy = 0;
        return;
    }
    slot->card = first + next_card % count;
    next_card = once ? next_card + 1 : (next_card + 1) % count;
    slot->tries = 0;
    slot->began = now();
    discover(number);
}

/* The message type and server of a reply to this client; 0 where it is none. */
static uint8_t read_reply(const uint8_t *frame, size_t size, const struct slot *slot, uint8_t *server) {
    uint8_t mac[6], kind = 0;
    size_t at = OPTIONS;
    card_of(slot->card, mac);
    if (frame[BOOTP] != 2 || memcmp(frame + CHADDR, mac, 6)) return 0;
    memset(server, 0, 4);
    while (at + 1 < size && frame[at] != 255) {
        size_t length = frame[at + 1];
        if (frame[at] == 0) {
            at++;
            continue;
        }
        if (at + 2 + length > size) return 0;
        if (frame[at] == 53 && length == 1) kind = frame[at + 2];
        if (frame[at] == 54 && length == 4) memcpy(server, frame + at + 2, 4);
        at += 2 + length;
    }
    return kind;
}

/* How long this one has waited by now, answered or not: who waits in vain is late as well. */
static void note(const struct slot *slot) {
    uint64_t took = (now() - slot->began) / 10; /* hundredths of a microsecond */
    if (noted < KEPT) latencies[noted++] = took > UINT32_MAX ? UINT32_MAX : (uint32_t)took;
}

static void finish(const struct slot *slot) {
    note(slot);
    answers++;
}

static void take(const uint8_t *frame, size_t size, int once) {
    uint32_t xid;
    uint8_t kind, server[4];
    struct slot *slot;
    unsigned number;
    if (size < OPTIONS) return;
    memcpy(&xid, frame + XID, 4);
    number = ntohl(xid) % MOST;
    slot = &slots[number];
    kind = read_reply(frame, size, slot, server);
    if (number >= outstanding || !slot->busy || slot->xid != ntohl(xid) || kind != slot->expects) {
        stray++;
        return;
    }
    if (!once) {
        finish(slot);
        begin(number, once);
    } else if (kind == OFFER) {
        memcpy(slot->address, frame + YIADDR, 4);
        memcpy(slot->server, server, 4);
        send_for(slot, REQUEST);
    } else if (memcmp(slot->address, frame + YIADDR, 4) == 0) {
        finish(slot);
        begin(number, once);
    } else {
        stray++;
    }
}

static int receive(int once) {
    int n = recvmmsg(wire, in, BATCH, MSG_DONTWAIT, NULL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) die("receive");
    for (int i = 0; i < n; i++) take(in_frames[i], in[i].msg_len, once);
    return n > 0;
}

static void repeat_lost(int once) {
    uint64_t at = now();
    for (unsigned i = 0; i < outstanding; i++) {
        struct slot *slot = &slots[i];
        if (!slot->busy || at - slot->sent < PATIENCE) continue;
        lost++;
        if (!once) {
            note(slot);
            begin(i, once);
        } else if (++slot->tries > TRIES) {
            fprintf(stderr, "no lease for card %u after %d tries\n", slot->card, TRIES);
            exit(1);
        } else {
            discover(i);
        }
    }
}

static void serve(uint64_t until, int once) {
    unsigned idle = 0;
    uint64_t looked = now();
    struct pollfd ready = {.fd = wire, .events = POLLIN};
    for (unsigned i = 0; i < outstanding; i++) begin(i, once);
    flush();
    while (once ? answers < count : now() < until) {
        if (receive(once)) {
            idle = 0;
        } else if (++idle > SPIN) {
            poll(&ready, 1, 5);
        }
        if (now() - looked > PATIENCE / 10) {
            repeat_lost(once);
            looked = now();
        }
        flush();
    }
}

static int by_size(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static double rank(double part) {
    return noted ? latencies[(size_t)(part * (double)(noted - 1))] / 100.0 : 0;
}

static void report(uint64_t took) {
    qsort(latencies, noted, sizeof *latencies, by_size);
    printf("{\"seconds\": %.6f, \"sent\": %zu, \"answers\": %zu, \"lost\": %zu, \"stray\": %zu, "
           "\"p50_us\": %.2f, \"p99_us\": %.2f, \"worst_us\": %.2f}\n",
           (double)took / 1e9, sent_frames, answers, lost, stray, rank(0.5), rank(0.99), rank(1));
}

/* Only what is for clients: IPv4 without options, UDP, to port 68 (bpf(4); port 67 for the echo). */
static void listen_for(const char *interface, int port) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 0, 6),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x45, 0, 4),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 23),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 17, 0, 2),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, UDP + 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)port, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, FRAME),
    };
    struct sock_fprog filter = {sizeof code / sizeof *code, code};
    int room = 8 << 20, yes = 1;
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_IP)};
    at.sll_ifindex = (int)if_nametoindex(interface);
    if (!at.sll_ifindex) die(interface);
    wire = socket(AF_PACKET, SOCK_RAW, 0);
    if (wire < 0) die("packet socket");
    if (setsockopt(wire, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter)) die("filter");
    setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
    setsockopt(wire, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes);
    if (bind(wire, (struct sockaddr *)&at, sizeof at)) die("bind");
    for (unsigned i = 0; i < BATCH; i++) {
        out_at[i].iov_base = out_frames[i];
        in_at[i] = (struct iovec){in_frames[i], FRAME};
        out[i].msg_hdr = (struct msghdr){.msg_iov = &out_at[i], .msg_iovlen = 1};
        in[i].msg_hdr = (struct msghdr){.msg_iov = &in_at[i], .msg_iovlen = 1};
    }
}

/* As little as a server could do: the request, turned round. */
static void echo(void) {
    struct pollfd ready = {.fd = wire, .events = POLLIN};
    uint8_t own[6];
    card_of(1, own);
    for (;;) {
        int n = recvmmsg(wire, in, BATCH, MSG_DONTWAIT, NULL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) die("receive");
        if (n <= 0) poll(&ready, 1, -1);
        for (int i = 0; i < n; i++) {
            size_t size = in[i].msg_len;
            if (size < OPTIONS + 3) continue;
            memcpy(out_frames[waiting], in_frames[i], size);
            out_frames[waiting][BOOTP] = 2;
            out_frames[waiting][OPTIONS + 2] = OFFER;
            out_at[waiting].iov_len = headers(out_frames[waiting], own, size - BOOTP, 67, 68);
            waiting++;
        }
        flush();
    }
}

static void ignore(uint64_t began, double seconds, double rate) {
    struct pollfd ready = {.fd = wire, .events = POLLIN};
    double total = seconds * rate;
    for (double done = 0; done < total;) {
        double due = (double)(now() - began) / 1e9 * rate;
        for (; done < due && done < total; done++) {
            slots[0].card = first + next_card;
            next_card = (next_card + 1) % count;
            discover(0);
        }
        flush();
        poll(&ready, 1, 1);
        stray += (size_t)(recvmmsg(wire, in, BATCH, MSG_DONTWAIT, NULL) > 0);
    }
}

int main(int argc, char **argv) {
    const char *deed = argc > 2 ? argv[1] : "";
    int once = !strcmp(deed, "lease");
    uint64_t began;
    long seconds = 0, rate = 0;
    char **at = argv + 3;
    if (!strcmp(deed, "echo") && argc == 3) {
        listen_for(argv[2], 67);
        echo();
    }
    if (argc != (once ? 6 : 7) || (!once && strcmp(deed, "offer") && strcmp(deed, "ignore"))) {
        fprintf(stderr, "see the head of dhcp.c for how it is called\n");
        return 2;
    }
    if (!once) seconds = number(*at++, 1, 3600);
    rate = number(*at++, 1, strcmp(deed, "ignore") ? MOST : 1000000);
    first = (uint32_t)number(at[0], 0, UINT32_MAX);
    count = (uint32_t)number(at[1], 1, 1 << 24);
    outstanding = strcmp(deed, "ignore") ? (unsigned)rate : 1;
    latencies = malloc(KEPT * sizeof *latencies);
    if (!latencies) die("memory");
    listen_for(argv[2], 68);
    sequence = (uint32_t)now();
    began = now();
    if (strcmp(deed, "ignore"))
        serve(began + (uint64_t)seconds * 1000000000, once);
    else
        ignore(began, (double)seconds, (double)rate);
    report(now() - began);
    return 0;
}
