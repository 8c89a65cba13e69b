/* Sends readings to the service, in C11 with POSIX sockets and no library.
 *
 *     cc -O2 -o client client.c -lm
 *     ENERGY_URL=http://127.0.0.1:3000 ENERGY_KEY=<keyId>.<secret> ./client waiting.ndjson < readings
 *
 * A line of standard input is a reading as a JSON object; without a "timestamp" it was taken now. Readings wait in the
 * file until the service has answered for them. At the end of the input the program ends when none waits.
 *
 * It speaks plain HTTP. For TLS, replace connect, send, recv and close in request(): nothing else touches the socket. */
#define _GNU_SOURCE /* strptime, timegm, strcasestr */
#include <math.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 10000, BATCH = 500, LINE = 512 }; /* readings that wait, those of a request, bytes of one */
static const double FIRST_S = 1, LONGEST_S = 60; /* wait before the second attempt; it doubles up to the longest */

static char lines[MOST][LINE]; /* those that wait, oldest first; the file has the same */
static int waiting, sent, batch = BATCH, failures; /* sent: lines of the body under way; a retry sends the same */
static int knows_time;
static double base; /* time of the server less the monotonic clock, seconds */
static long long last_ms; /* time of the newest reading */
static const char *file, *key;
static char host[256], port[16] = "80", answer[65536];
static int retry_after;

static double read_clock(clockid_t id) {
    struct timespec time;
    clock_gettime(id, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void write_lines(const char *path, const char *mode, int first) {
    FILE *out = fopen(path, mode);
    for (int i = first; out && i < waiting; i++) fprintf(out, "%s\n", lines[i]);
    if (!out || fflush(out) || fsync(fileno(out)) || fclose(out)) perror(path), exit(1);
}

/* Replaces the file in one step: a kill leaves the old one or the new one. */
static void save(void) {
    char path[4096];
    snprintf(path, sizeof path, "%s.new", file);
    write_lines(path, "w", 0);
    if (rename(path, file)) perror(file), exit(1);
}

static void drop(int first, int count) {
    memmove(lines[first], lines[first + count], (size_t)(waiting - first - count) * LINE);
    waiting -= count;
    save();
}

/* Gives a reading its time, once and for all. No two have the same. */
static void stamp(char *line, double at) {
    if (strstr(line, "\"timestamp\"")) return;
    long long ms = (long long)(at * 1000);
    last_ms = ms > last_ms ? ms : last_ms + 1;
    time_t seconds = last_ms / 1000;
    char text[32];
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", gmtime(&seconds));
    sprintf(strrchr(line, '}'), ",\"timestamp\":\"%s.%03dZ\"}", text, (int)(last_ms % 1000));
}

/* Keeps a reading until it is sent. */
static void add(const char *line) {
    size_t length = strlen(line);
    if (!length) return;
    if (line[0] != '{' || line[length - 1] != '}' || length > LINE - 64) {
        fprintf(stderr, "no JSON object, or too long: %s\n", line);
        return;
    }
    if (waiting == MOST) {
        fprintf(stderr, "the buffer is full, dropped %s\n", lines[sent]);
        drop(sent, 1);
    }
    /* before the first answer the right time is unknown: the own clock's stands before the reading until then */
    if (!knows_time) sprintf(lines[waiting], "%lld %.*s", (long long)(read_clock(CLOCK_REALTIME) * 1000), LINE - 64, line);
    else stamp(strcpy(lines[waiting], line), base + read_clock(CLOCK_MONOTONIC));
    waiting++;
    write_lines(file, "a", waiting - 1);
}

static void load(void) {
    FILE *in = fopen(file, "r");
    /* the last line has no end if the program was killed as it wrote it */
    while (in && waiting < MOST && fgets(lines[waiting], LINE, in)) {
        char *end = strchr(lines[waiting], '\n');
        if (end) *end = 0, waiting++;
    }
    if (in) fclose(in);
    save();
}

/* Sets the clock by the Date of an answer: whole seconds, so smaller differences say nothing. */
static void learn_time(const char *date) {
    struct tm parts = {0};
    if (!strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &parts)) return;
    double found = timegm(&parts) + 0.5 - read_clock(CLOCK_MONOTONIC);
    if (knows_time && fabs(found - base) < 2) return;
    base = found, knows_time = 1;
    double ahead = read_clock(CLOCK_REALTIME) - (base + read_clock(CLOCK_MONOTONIC));
    for (int i = 0; i < waiting; i++) {
        if (lines[i][0] == '{') continue;
        char *reading;
        double own = strtod(lines[i], &reading) / 1000;
        memmove(lines[i], reading + 1, strlen(reading));
        stamp(lines[i], own - ahead);
    }
    save();
}

/* Returns the status of the answer, 0 for none; sets `answer` to its text, and `retry_after` to its seconds. */
static int request(const char *method, const char *path, const char *body) {
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
    struct timeval timeout = {.tv_sec = 30};
    static char head[1024];
    size_t used = 0, length = strlen(body);
    int size = snprintf(head, sizeof head,
        "%s %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nConnection: close\r\nContent-Type: application/x-ndjson\r\n%s%s%s"
        "Content-Length: %zu\r\n\r\n", method, path,
        strchr(host, ':') ? "[" : "", host, strchr(host, ':') ? "]" : "", port,
        key ? "Authorization: Bearer " : "", key ? key : "", key ? "\r\n" : "", length);
    retry_after = 0, answer[0] = 0;
    if (size >= (int)sizeof head || getaddrinfo(host, port, &hints, &found)) return 0; /* too long a key; no such host */
    int one = socket(found->ai_family, SOCK_STREAM, 0);
    setsockopt(one, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
    setsockopt(one, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    int fails = connect(one, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    const char *parts[] = {head, body};
    size_t sizes[] = {(size_t)size, length};
    for (int i = 0; i < 2; i++)
        for (size_t done = 0; !fails && done < sizes[i];) {
            ssize_t n = send(one, parts[i] + done, sizes[i] - done, MSG_NOSIGNAL);
            if (n > 0) done += (size_t)n;
            else fails = 1;
        }
    for (ssize_t n; !fails && used < sizeof answer - 1 && (n = recv(one, answer + used, sizeof answer - 1 - used, 0)) > 0;)
        used += (size_t)n;
    close(one);
    answer[used] = 0;
    int status = 0;
    char *text = strstr(answer, "\r\n\r\n"), *found_at;
    if (!text || sscanf(answer, "HTTP/1.%*c %d", &status) != 1) return 0;
    *text = 0;
    if ((found_at = strcasestr(answer, "\r\nretry-after:"))) retry_after = atoi(found_at + 14);
    if ((found_at = strcasestr(answer, "\r\ndate:"))) learn_time(found_at + 7 + strspn(found_at + 7, " "));
    memmove(answer, text + 4, strlen(text + 4) + 1);
    return status;
}

static double backoff(double at_least) {
    double wait = at_least > 0 ? at_least : fmin(LONGEST_S, FIRST_S * (1 << (failures < 10 ? failures : 10)));
    failures++;
    return wait * (1 + rand() / 2.0 / RAND_MAX); /* not all devices at once */
}

/* Sends what waits; returns how long to wait before the next request, seconds. */
static double exchange(void) {
    static char body[BATCH * LINE];
    if (!knows_time) { /* nothing is sent before its time is right */
        request("HEAD", "/health/live", "");
        return knows_time ? 0 : backoff(retry_after);
    }
    if (!sent) sent = waiting < batch ? waiting : batch;
    char *end = body;
    for (int i = 0; i < sent; i++) end += sprintf(end, "%s\n", lines[i]);
    int status = request("POST", "/v1/ingest/batch", body);
    if (status == 413 && sent > 1) {
        batch = sent = sent / 2;
        return 0;
    }
    switch (status) {
    case 207: case 422: fprintf(stderr, "rejected, by index from 0: %s\nof %s", answer, body); /* the others are stored */
        /* fall through */
    case 201: break;
    case 400: case 413: case 415: case 431: /* the same again would be answered the same */
        fprintf(stderr, "dropped %d %s\n%s", status, answer, body);
        break;
    case 401: case 403: case 404: /* readings wait until somebody mends key or address */
        retry_after = (int)LONGEST_S;
        /* fall through */
    default: /* 408, 429, 5xx and no answer */
        fprintf(stderr, "kept %d %s\n", status, answer);
        return backoff(retry_after);
    }
    int done = sent;
    sent = failures = 0;
    drop(0, done);
    return 0;
}

int main(int count, char **arguments) {
    const char *url = getenv("ENERGY_URL") ? getenv("ENERGY_URL") : "http://127.0.0.1:3000";
    if (count != 2 || (sscanf(url, "http://[%255[^]]]:%15[0-9]", host, port) < 1 &&
                       sscanf(url, "http://%255[^:/]:%15[0-9]", host, port) < 1)) {
        fprintf(stderr, "usage: ENERGY_URL=http://host:port %s FILE\n", arguments[0]);
        return 2;
    }
    file = arguments[1], key = getenv("ENERGY_KEY");
    srand((unsigned)(read_clock(CLOCK_REALTIME) * 1000) ^ (unsigned)getpid());
    load();
    static char input[65536];
    size_t held = 0;
    int ended = 0;
    for (double due = 0; waiting || !ended;) {
        double wait = waiting ? fmax(0, due - read_clock(CLOCK_MONOTONIC)) : -0.001;
        struct pollfd source = {.fd = ended ? -1 : 0, .events = POLLIN};
        if (poll(&source, 1, (int)ceil(wait * 1000)) > 0) {
            ssize_t n = read(0, input + held, sizeof input - 1 - held);
            ended = n <= 0;
            held += n > 0 ? (size_t)n : 0;
            input[held] = 0;
            char *line = input, *end;
            for (; (end = strchr(line, '\n')) || (ended && *line); line = end ? end + 1 : strchr(line, 0)) {
                if (end) *end = 0;
                add(line);
            }
            held = strlen(line) < sizeof input - 1 ? strlen(line) : 0; /* a line without an end is dropped */
            memmove(input, line, held);
        }
        if (waiting && read_clock(CLOCK_MONOTONIC) >= due) {
            double pause = exchange(); /* first: its time counts too */
            due = read_clock(CLOCK_MONOTONIC) + pause;
        }
    }
    return 0;
}
