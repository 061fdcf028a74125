/* faulty_tls.c: the certificate of the faulty server's https origin: made at start, valid for
 * 127.0.0.1 and localhost, signed by itself, so that a client trusts it only when told to. */
#include "faulty_inside.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

static int add_extension(X509 *certificate, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    int ok = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return ok;
}

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *c = X509_new();
    if (!c) return NULL;
    X509_NAME *name = X509_get_subject_name(c);
    int ok = X509_set_version(c, 2) && ASN1_INTEGER_set(X509_get_serialNumber(c), 1) &&
             X509_gmtime_adj(X509_getm_notBefore(c), -3600) &&
             X509_gmtime_adj(X509_getm_notAfter(c), 86400L * 30) && X509_set_pubkey(c, key) &&
             X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                        (const unsigned char *)"faulty test server", -1, -1, 0) &&
             X509_set_issuer_name(c, name) &&
             add_extension(c, NID_basic_constraints, "critical,CA:TRUE") &&
             add_extension(c, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost") &&
             X509_sign(c, key, EVP_sha256());
    if (ok) return c;
    X509_free(c);
    return NULL;
}

int faulty_tls_open(faulty *f)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = key ? make_certificate(key) : NULL;
    BIO *pem = BIO_new(BIO_s_mem());
    char *text = NULL;
    int failed = -1;
    f->tls = SSL_CTX_new(TLS_server_method());
    if (!certificate || !pem || !f->tls || !PEM_write_bio_X509(pem, certificate) ||
        !SSL_CTX_use_certificate(f->tls, certificate) || !SSL_CTX_use_PrivateKey(f->tls, key))
        goto out;
    long n = BIO_get_mem_data(pem, &text);
    f->ca = n > 0 ? strv_dup(strv_from(text, (size_t)n)) : NULL;
    failed = f->ca ? 0 : -1;
out:
    BIO_free(pem);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return failed;
}
