/* faulty_main.c: the faulty server as a program: faulty SCRIPT [PORT [ADDRESS]].
 *
 * Prints the three origins, serves until standard input ends, then prints the log: method, target,
 * status, bytes of the body. */
#include "faulty.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    static char script[1 << 20];
    char message[300];
    faulty *f = NULL;
    if (argc < 2) {
        fputs("usage: faulty SCRIPT [PORT [ADDRESS]]\n", stderr);
        return 2;
    }
    FILE *file = fopen(argv[1], "rb");
    size_t n = file ? fread(script, 1, sizeof script - 1, file) : 0;
    if (file) fclose(file);
    script[n] = 0;
    if (!file || faulty_open_at(argc > 3 ? argv[3] : "127.0.0.1",
                                argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0, &f)) {
        fprintf(stderr, "faulty: cannot read %s, or cannot listen\n", argv[1]);
        return 1;
    }
    if (faulty_script(f, script, message, sizeof message)) {
        fprintf(stderr, "faulty: %s: %s\n", argv[1], message);
        faulty_close(f);
        return 1;
    }
    printf("self %s\nother %s\ntls %s\n", faulty_url(f, FAULTY_SELF), faulty_url(f, FAULTY_OTHER),
           faulty_url(f, FAULTY_TLS));
    fflush(stdout);
    while (getchar() != EOF)
        ;
    const faulty_request *request;
    for (size_t i = 0; (request = faulty_at(f, "*", "*", i)); i++)
        printf("%s %s %d %llu\n", request->method, request->target, request->status,
               (unsigned long long)request->sent_bytes);
    faulty_close(f);
    return 0;
}
