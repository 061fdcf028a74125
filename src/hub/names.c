/* names.c: ids, revisions and paths as the Hub allows them, and stricter where a name becomes a
 * file here.
 *
 * Source: huggingface_hub utils/_validators.py (repo ids) and its rejection of file names that
 * leave the folder on POSIX or on Windows. Ours adds: no control bytes, no broken UTF-8, no empty
 * or "." segment, no backslash, at most 255 bytes a segment and 1024 a path.
 * Traps: "name ends in .git" and "--" are refused although each character is allowed; a revision is
 * one segment of a URL but may be several folders under refs/. */
#include "hub/names.h"

enum { ID_CHARS = 96, REVISION_BYTES = 255, SEGMENT_BYTES = 255, PATH_BYTES = 1024 };

const char *hub_type_plural(hub_type type)
{
    static const char *const NAMES[] = {"models", "datasets", "spaces"};
    return NAMES[type];
}

const char *hub_type_url_prefix(hub_type type)
{
    static const char *const NAMES[] = {"", "datasets/", "spaces/"};
    return NAMES[type];
}

static int is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static int is_word(unsigned char c) { return is_alnum(c) || c == '_'; }

static int contains(strv text, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= text.n; i++)
        if (!memcmp(text.p + i, part, n)) return 1;
    return 0;
}

/* Most of a name that a message shows. */
static int shown(strv text) { return text.n < 120 ? (int)text.n : 120; }

static const char *part_problem(strv part)
{
    if (!part.n) return "has an empty part";
    if (part.n > ID_CHARS) return "has a part of more than 96 characters";
    for (size_t i = 0; i < part.n; i++)
        if (!is_word((unsigned char)part.p[i]) && part.p[i] != '-' && part.p[i] != '.')
            return "has a character other than letters, digits, '-', '_' and '.'";
    if (!is_word((unsigned char)part.p[0]) || !is_word((unsigned char)part.p[part.n - 1]))
        return "has a part that begins or ends with '-' or '.'";
    return NULL;
}

mlxe_status hub_id_check(strv id, mlxe_error *err)
{
    const char *slash = id.n ? memchr(id.p, '/', id.n) : NULL, *problem = NULL;
    strv name = id;
    if (!id.n) return err_set(err, MLXE_E_ARG, "Hub id: is empty, want org/name");
    if (slash) {
        size_t n = (size_t)(slash - id.p);
        name = strv_from(slash + 1, id.n - n - 1);
        if (memchr(name.p, '/', name.n)) problem = "has more than one '/'";
        if (!problem) problem = part_problem(strv_from(id.p, n));
    }
    if (!problem) problem = part_problem(name);
    if (!problem && contains(id, "--")) problem = "holds \"--\"";
    if (!problem && contains(id, "..")) problem = "holds \"..\"";
    if (!problem && strv_ends(id, STRV(".git"))) problem = "ends in .git";
    if (!problem) return MLXE_OK;
    return err_set(err, MLXE_E_ARG, "%.*s: is no Hub id, it %s, want org/name", shown(id), id.p,
                   problem);
}

/* Length of the UTF-8 character at p, 0 when it is broken. */
static size_t utf8_length(const unsigned char *p, size_t n)
{
    unsigned c = p[0];
    size_t want = c < 0x80 ? 1 : c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : 4;
    if (want == 1) return 1;
    if (c < 0xC2 || c > 0xF4 || n < want) return 0;
    for (size_t i = 1; i < want; i++)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if ((c == 0xE0 && p[1] < 0xA0) || (c == 0xED && p[1] > 0x9F) || (c == 0xF0 && p[1] < 0x90) ||
        (c == 0xF4 && p[1] > 0x8F))
        return 0;
    return want;
}

/* What is wrong with text as the name of a file in a folder that nobody may leave; NULL: nothing.
 * */
static const char *path_problem(strv text, size_t limit)
{
    const unsigned char *p = (const unsigned char *)text.p;
    size_t start = 0;
    if (!text.n) return "is empty";
    if (text.n > limit) return "is too long";
    if (p[0] == '/') return "begins with '/'";
    for (size_t i = 0; i < text.n;) {
        size_t n = utf8_length(p + i, text.n - i);
        if (!n) return "is not valid UTF-8";
        if (p[i] < 0x20 || p[i] == 0x7F) return "holds a control character";
        if (p[i] == '\\') return "holds a backslash";
        i += n;
    }
    for (size_t i = 0; i <= text.n; i++) {
        strv segment;
        if (i < text.n && p[i] != '/') continue;
        segment = strv_from(text.p + start, i - start);
        start = i + 1;
        if (!segment.n) return "has an empty segment";
        if (strv_is(segment, ".") || strv_is(segment, "..")) return "has a segment '.' or '..'";
        if (segment.n > SEGMENT_BYTES) return "has a segment of more than 255 bytes";
        if (segment.n >= 2 && segment.p[1] == ':' && is_alnum((unsigned char)segment.p[0]))
            return "has a segment with a drive letter";
    }
    return NULL;
}

mlxe_status hub_revision_check(strv revision, mlxe_error *err)
{
    const char *problem = path_problem(revision, REVISION_BYTES);
    if (!problem) return MLXE_OK;
    return err_set(err, MLXE_E_ARG, "revision %.*s: %s", shown(revision),
                   revision.p ? revision.p : "", problem);
}

mlxe_status hub_path_check(strv path, mlxe_error *err)
{
    const char *problem = path_problem(path, PATH_BYTES);
    if (!problem) return MLXE_OK;
    return err_set(err, MLXE_E_CORRUPT, "file name %.*s: unsafe, it %s", shown(path),
                   path.p ? path.p : "", problem);
}

int hub_is_hex(strv text, size_t digits)
{
    if (text.n != digits) return 0;
    for (size_t i = 0; i < text.n; i++)
        if (!((text.p[i] >= '0' && text.p[i] <= '9') || (text.p[i] >= 'a' && text.p[i] <= 'f')))
            return 0;
    return 1;
}

int hub_is_commit(strv text) { return hub_is_hex(text, HUB_COMMIT_CHARS); }

int hub_etag_usable(strv etag)
{
    if (!etag.n || etag.n > HUB_ETAG_CHARS || !is_alnum((unsigned char)etag.p[0])) return 0;
    for (size_t i = 0; i < etag.n; i++)
        if (!is_word((unsigned char)etag.p[i]) && etag.p[i] != '.' && etag.p[i] != '-') return 0;
    return !strv_ends(etag, STRV(".incomplete"));
}

strv hub_etag_plain(strv value)
{
    if (strv_starts(value, STRV("W/"))) value = strv_from(value.p + 2, value.n - 2);
    if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
        value = strv_from(value.p + 1, value.n - 2);
    return value;
}

void hub_name_split(const char *name, strv *id, strv *revision)
{
    const char *at = strchr(name, '@');
    *id = at ? strv_from(name, (size_t)(at - name)) : strv_of(name);
    *revision = at ? strv_of(at + 1) : (strv){0};
}

void hub_escape_add(buf *out, strv text, hub_escape what)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_word(c) || c == '.' || c == '~' || c == '-' ||
            (c == '/' && what == HUB_ESCAPE_KEEP_SLASH)) {
            buf_add_char(out, (char)c);
        } else {
            buf_add_char(out, '%');
            buf_add_char(out, HEX[c >> 4]);
            buf_add_char(out, HEX[c & 15]);
        }
    }
}
