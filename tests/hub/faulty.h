/* faulty.h: a small Hub that misbehaves as a script says; the other end of the client's tests.
 *
 * One server has three loopback origins: {self} and {other} (http, two ports) and {tls} (https with
 * a certificate that faulty_ca gives). It serves repositories that the script describes, rightly,
 * and each request that a rule matches goes wrong as the rule says. Every request is logged.
 *
 * Script, one statement a line; # begins a comment; a value with blanks is "quoted" (\n \r \t \0
 * \" \\ \xHH):
 *
 *   repo [dataset:|space:]ID COMMIT [gated=auto|manual] [private] [disabled] [token=T] [listed=no]
 *   ref NAME COMMIT                   of the last repo; main leads to COMMIT by itself
 *   file PATH SIZE [lfs] [seed=N]     of the last repo: SIZE bytes made from N
 *   text PATH "content"               of the last repo: a plain file
 *   page N                            entries in a page of a tree or a search (default 1000)
 *   user NAME TOKEN                   whoami-v2 of TOKEN
 *   alone                             one connection at a time: the others wait until it ends
 *   on METHOD GLOB KEY=VALUE...       a rule. METHOD may be *; in GLOB only * is special. It is
 *                                     matched with the path, or with path?query if it has a '?'.
 *                                     The first rule that matches and is not used up applies.
 *
 * Keys of a rule
 *   skip=N times=N        passes the first N matching requests; applies N times (default: always)
 *   delay=MS              waits before it answers          close=1     closes without an answer
 *   status=N              another status (body: a JSON error, unless body= says)
 *   header="Name: v"      sets a header; drop=Name takes one away; both repeat
 *   body="text" type=T    another body
 *   zeros=N nested=N      a body of N zero bytes; of N times '[' and as many ']'
 *   endless="text"        a chunked body that repeats text until the client leaves; or, with
 *                         limit=N, until N bytes
 *   length=N|none         a Content-Length that lies; none: the end of the connection ends the body
 *   chunked=1             chunked, without Content-Length
 *   cut=N reset=N stall=N after N bytes of the body: closes; resets; is silent until the client
 *   goes rate=N                bytes/s of the body
 *   corrupt=N             flips the byte at offset N of the file
 *   etag=E commit=C       other metadata; repo bytes are the same
 *   gzip=1                says Content-Encoding: gzip
 *   range=ignore|bare|K   200 with all bytes; 206 without Content-Range; 206 from byte K, and says
 *                         so; total=N: another total in Content-Range
 *   redirect=URL          302 (or status=) to URL; keeps X-Repo-Commit, X-Linked-Etag and -Size
 *                         unless bare=1
 *   sign=N                302 to {other}/cdn/ID/PATH?Signature=S where S is good for N requests;
 *                         own=1: to {self}/cdn/..
 *   most=N                a 206 has N bytes at most
 *   headbody=1            a HEAD's answer has a body too
 *
 * In header=, body=, endless= and redirect=: {self} {other} {tls} {path} {query} {n} (how often
 * this rule applied, from 1).
 *
 * Threads: one accepts, one a connection. Every function may be called from any thread. */
#ifndef TESTS_HUB_FAULTY_H
#define TESTS_HUB_FAULTY_H

#include <stddef.h>
#include <stdint.h>

typedef struct faulty faulty;

typedef enum faulty_origin { FAULTY_SELF, FAULTY_OTHER, FAULTY_TLS, FAULTY_ORIGINS } faulty_origin;

/* What arrived, and what went out for it. Borrowed until faulty_forget or faulty_close. */
typedef struct faulty_request {
    const char *method, *target; /* target: path?query as it was sent */
    const char *headers;         /* "Name: value\r\n"... */
    const char *body;
    size_t body_bytes;
    faulty_origin origin;
    int status;          /* of the answer; 0: closed without one */
    uint64_t sent_bytes; /* of the answer's body */
    unsigned connection; /* from 1; equal numbers shared a connection */
} faulty_request;

/* Listens on three free ports. -> 0, or -1 */
int faulty_open(faulty **out);
/* The same with the first origin on a given port of an address (the program faulty). */
int faulty_open_at(const char *address, unsigned port, faulty **out);
void faulty_close(faulty *f);

/* "http://127.0.0.1:PORT" */
const char *faulty_url(const faulty *f, faulty_origin origin);
/* The certificate of {tls} as PEM, for SSL_CERT_FILE or its like. */
const char *faulty_ca(const faulty *f);

/* Adds statements. -> 0, or -1 and a message with the line's number */
int faulty_script(faulty *f, const char *script, char *message, size_t capacity);
/* Ends all connections; drops repositories, rules and the log. */
void faulty_forget(faulty *f);
/* Ends all connections; drops the log. */
void faulty_forget_log(faulty *f);

/* Requests in the log; method may be "*", glob as in rules. */
size_t faulty_count(faulty *f, const char *method, const char *glob);
/* The n-th of them, from 0; NULL: fewer. */
const faulty_request *faulty_at(faulty *f, const char *method, const char *glob, size_t n);
/* Value of a request's header, or NULL when absent; cut at capacity. */
const char *faulty_header(const faulty_request *request, const char *name, char *out,
                          size_t capacity);
/* Body bytes that went out for them; waits up to half a second for answers that are under way. */
uint64_t faulty_sent(faulty *f, const char *method, const char *glob);
/* Connections accepted since open. */
unsigned faulty_connections(faulty *f);

/* The bytes of a file of the script, for comparison; NULL: no such file. */
const unsigned char *faulty_file(faulty *f, const char *repo, const char *path, size_t *bytes);
/* Its ETag without quotes (sha256 or git sha1, in hex); NULL: no such file. */
const char *faulty_etag(faulty *f, const char *repo, const char *path);

/* 1: text fits glob (only * is special). */
int faulty_glob(const char *glob, const char *text);

#endif
