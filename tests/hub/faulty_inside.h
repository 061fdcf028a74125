/* faulty_inside.h: what the files of the faulty server share.
 *
 *   faulty.c         sockets, threads, log; sends an answer with its faults
 *   faulty_script.c  script -> repositories and rules
 *   faulty_hub.c     request -> the right answer
 *   faulty_tls.c     a certificate made at start
 */
#ifndef TESTS_HUB_FAULTY_INSIDE_H
#define TESTS_HUB_FAULTY_INSIDE_H

#include "base/buf.h"
#include "faulty.h"

#include <openssl/ssl.h>
#include <pthread.h>

enum { MAX_HEADERS = 48, MAX_SIGNATURES = 4096 };

typedef struct hub_file {
    char *path;
    unsigned char *data;
    size_t n;
    int lfs;
    char etag[65]; /* sha256 of an LFS file, git sha1 of another */
    char oid[41];  /* git's name of the blob: of the pointer for LFS */
    struct hub_file *next;
} hub_file;

typedef struct hub_ref {
    char *name, *commit;
    struct hub_ref *next;
} hub_ref;

typedef struct hub_repo {
    const char *type; /* "models", "datasets", "spaces" */
    char *id, *commit, *gated, *token;
    int private, disabled, unlisted;
    hub_file *files, **last_file;
    hub_ref *refs;
    struct hub_repo *next;
} hub_repo;

typedef struct rule {
    char *method, *glob;
    unsigned skip, times, seen, used; /* times 0: always */
    int status, close, chunked, gzip, bare, has_body, own, head_body;
    long delay_ms, sign;
    int64_t length, cut, reset, stall, corrupt, range_from, total; /* -1: not said */
    int length_none, range_ignore, range_bare;
    uint64_t rate, zeros, nested, limit, most;
    char *body, *endless, *type, *etag, *commit, *redirect;
    size_t body_bytes;
    char *headers[16], *drops[16];
    size_t n_headers, n_drops;
    struct rule *next;
} rule;

typedef struct header {
    char *name, *value;
} header;

/* What goes out, before faults of the transfer. */
typedef struct answer {
    int status;
    header headers[MAX_HEADERS];
    size_t n_headers;
    buf text;                  /* an owned body */
    const unsigned char *data; /* a borrowed one; NULL: text */
    size_t n;
    uint64_t file_from; /* data[0] is this byte of the file */
} answer;

typedef struct log_entry {
    faulty_request seen;
    int done; /* the answer went out, or ended */
    struct log_entry *next;
} log_entry;

typedef struct connection {
    struct faulty *server;
    int fd, ended;
    faulty_origin origin;
    unsigned number;
    SSL *tls;
    pthread_t thread;
    char *in; /* bytes read and not used yet */
    size_t in_n, in_cap;
    struct connection *next;
} connection;

struct faulty {
    pthread_mutex_t mutex; /* everything below but what open made */
    hub_repo *repos, **last_repo;
    rule *rules, **last_rule;
    log_entry *log, **last_log;
    char *user, *user_token;
    size_t page;
    int alone;
    unsigned n_connections;
    int signatures[MAX_SIGNATURES]; /* requests that each is good for yet */
    int n_signatures;
    connection *connections;
    pthread_cond_t idle;
    int under_way; /* answers that use the script's memory */
    int closing;
    /* made by open */
    pthread_mutex_t turn; /* of the connection that is served, when alone */
    int listening[FAULTY_ORIGINS], wake[2];
    char urls[FAULTY_ORIGINS][64];
    pthread_t acceptor;
    SSL_CTX *tls;
    char *ca;
};

/* All of these are called with the mutex held. */
void faulty_drop_script(faulty *f);
rule *faulty_rule(faulty *f, const char *method, const char *target);
/* The right answer, with what the rule (or NULL) changes of metadata and ranges. */
void faulty_answer(faulty *f, const faulty_request *request, const rule *fault, answer *out);
void answer_header(answer *a, const char *name, const char *value);
void answer_drop(answer *a, const char *name);
const char *answer_get(const answer *a, const char *name);
void answer_deinit(answer *a);
/* text with {self} and the rest filled in. */
void faulty_expand(const faulty *f, const faulty_request *request, const rule *fault,
                   const char *text, buf *out);
/* Certificate and key for 127.0.0.1 and localhost. -> 0 or -1 */
int faulty_tls_open(faulty *f);

#endif
