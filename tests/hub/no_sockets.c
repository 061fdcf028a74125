/* no_sockets.c: preloaded, ends a process that makes an internet socket or asks for a name: proof
 * that what is offline stays offline. Built by full_faults.sh. */
#include <netdb.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CAUGHT = 99 };

int socket(int domain, int type, int protocol)
{
    (void)type;
    (void)protocol;
    if (domain == AF_INET || domain == AF_INET6) _exit(CAUGHT);
    return -1;
}

int getaddrinfo(const char *restrict node, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)out;
    _exit(CAUGHT);
}
