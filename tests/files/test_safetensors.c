/* test_safetensors.c: headers against the reference implementation (st_header.case, made by
 * tools/goldens/safetensors/make.py), the message of each defect, the writer. */
#define _XOPEN_SOURCE 700
#include "files/safetensors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static mlxe_error err;

/* ---- vectors from the reference ------------------------------------------------------------- */

/* Undoes %XX in place. -> bytes */
static size_t unescape(char *s)
{
    char *to = s, *from = s;
    while (*from) {
        if (*from == '%') {
            char hex[3] = {from[1], from[2], 0};
            *to++ = (char)strtol(hex, NULL, 16);
            from += 3;
        } else {
            *to++ = *from++;
        }
    }
    *to = 0;
    return (size_t)(to - s);
}

static void add_data(buf *file, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        buf_add_char(file, (char)((7 * i + 3) % 256));
}

static void add_length(buf *file, uint64_t length)
{
    for (int i = 0; i < 8; i++)
        buf_add_char(file, (char)(length >> (8 * i) & 0xFF));
}

static const mf_tensor *find(const mf_tensor *t, size_t n, strv name)
{
    for (size_t i = 0; i < n; i++)
        if (strv_eq(t[i].name, name)) return &t[i];
    return NULL;
}

/* NAME|DTYPE|DIMS|SUM of one tensor against the record. */
static void check_row(char *row, const mf_tensor *t, size_t n, const buf *file)
{
    char *dtype = strchr(row, '|'), *dims = strchr(dtype + 1, '|'), *sum = strchr(dims + 1, '|');
    char shape[200] = "";
    uint32_t total = 0;
    const mf_tensor *found;
    *dtype++ = *dims++ = *sum++ = 0;
    found = find(t, n, strv_from(row, unescape(row)));
    assert_non_null(found);
    assert_string_equal(mf_dtype_name(found->dtype), dtype);
    for (int i = 0; i < found->n_dims; i++)
        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), i ? ",%lld" : "%lld",
                 (long long)found->shape[i]);
    assert_string_equal(shape, dims);
    assert_true(found->offset + found->bytes <= file->n);
    for (uint64_t i = 0; i < found->bytes; i++)
        total += (uint32_t)(i + 1) * (unsigned char)file->p[found->offset + i];
    assert_int_equal(total, strtoul(sum, NULL, 10));
    assert_int_equal(found->file, 0);
}

static void check_case(char *line, int number, int *counts)
{
    char *length = strchr(line, '\t'), *data = strchr(length + 1, '\t');
    char *verdict = strchr(data + 1, '\t');
    buf file = {0};
    arena mem = {0};
    mf_tensor *t;
    size_t n = 99, rows = 0;
    mlxe_status status;
    *length++ = *data++ = *verdict++ = 0;
    add_length(&file, strtoull(length, NULL, 10));
    buf_add(&file, line, unescape(line));
    add_data(&file, strtoull(data, NULL, 10));
    status = st_parse("t.safetensors", file.p, file.n, file.n, &mem, &t, &n, &err);
    if (strncmp(verdict, "OK", 2) == 0) {
        if (status) fail_msg("line %d: %s", number, err.message);
        for (char *row = strtok(verdict + 2, " "); row; row = strtok(NULL, " "), rows++)
            check_row(row, t, n, &file);
        assert_int_equal(rows, n);
        counts[0]++;
    } else {
        if (status != MLXE_E_CORRUPT && status != MLXE_E_UNSUPPORTED)
            fail_msg("line %d is accepted, want %s", number, verdict);
        assert_int_equal(strncmp(err.message, "t.safetensors: ", 15), 0);
        assert_int_equal(err.code, status);
        assert_null(t);
        assert_int_equal(n, 0);
        counts[strncmp(verdict, "STRICT", 6) == 0 ? 2 : 1]++;
    }
    arena_deinit(&mem);
    buf_deinit(&file);
}

static void test_header_cases(void **state)
{
    int counts[3] = {0}, number = 0; /* accepted, refused, stricter than the reference */
    buf text = {0};
    (void)state;
    if (fs_read(MLXE_SOURCE_DIR "/tests/files/st_header.case", 0, &text, &err))
        fail_msg("%s", err.message);
    for (char *line = text.p, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = 0;
        check_case(line, ++number, counts);
    }
    assert_true(counts[0] > 200 && counts[1] > 900 && counts[2] >= 10 && counts[2] < 20);
    buf_deinit(&text);
}

/* ---- messages ------------------------------------------------------------------------------- */

static mlxe_status parse(const char *header, size_t data_bytes)
{
    buf file = {0};
    arena mem = {0};
    mf_tensor *t;
    size_t n;
    mlxe_status status;
    add_length(&file, strlen(header));
    buf_add_str(&file, header);
    add_data(&file, data_bytes);
    status = st_parse("m.safetensors", file.p, file.n, file.n, &mem, &t, &n, &err);
    arena_deinit(&mem);
    buf_deinit(&file);
    return status;
}

static void test_messages(void **state)
{
#define TENSOR(dtype, shape, offsets)                                                              \
    "{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}"
    static const struct {
        const char *header;
        size_t data;
        mlxe_status status;
        const char *message;
    } ROWS[] = {
        {"[]", 0, MLXE_E_CORRUPT, "header is an array, want an object"},
        {"{", 0, MLXE_E_CORRUPT, "header: line 1, column 2: unexpected end of data"},
        {"{\"a\":1,\"a\":2}", 0, MLXE_E_CORRUPT, "header: key \"a\" appears twice in one object"},
        {"{\"__metadata__\":[]}", 0, MLXE_E_CORRUPT, "__metadata__ is an array, want an object"},
        {"{\"__metadata__\":{\"k\":1}}", 0, MLXE_E_CORRUPT,
         "__metadata__.k is an integer, want a string"},
        {"{\"a.b\":[]}", 0, MLXE_E_CORRUPT, "a.b is an array, want an object"},
        {"{\"a.b\":{}}", 0, MLXE_E_CORRUPT, "a.b.dtype is missing"},
        {"{\"a\":" TENSOR("4", "[2]", "[0,8]") "}", 8, MLXE_E_CORRUPT,
         "a.dtype is an integer, want a string"},
        {"{\"a\":" TENSOR("\"F4\"", "[2]", "[0,1]") "}", 1, MLXE_E_UNSUPPORTED,
         "a.dtype is \"F4\", which is not supported"},
        {"{\"a\":{\"dtype\":\"F32\"}}", 0, MLXE_E_CORRUPT, "a.shape is missing"},
        {"{\"a\":" TENSOR("\"F32\"", "{}", "[0,8]") "}", 8, MLXE_E_CORRUPT,
         "a.shape is an object, want an array"},
        {"{\"a\":" TENSOR("\"F32\"", "[2,-1]", "[0,8]") "}", 8, MLXE_E_CORRUPT,
         "a.shape[1] is -1, want 0 or more"},
        {"{\"a\":" TENSOR("\"F32\"", "[2.0]", "[0,8]") "}", 8, MLXE_E_CORRUPT,
         "a.shape[0] is a number, want an integer"},
        {"{\"a\":" TENSOR("\"F32\"", "[0,18446744073709551615]", "[0,0]") "}", 0, MLXE_E_CORRUPT,
         "a.shape[1] is 18446744073709551615, want 0..9223372036854775807"},
        {"{\"a\":" TENSOR("\"F32\"", "[1,1,1,1,1,1,1,1,2]", "[0,8]") "}", 8, MLXE_E_UNSUPPORTED,
         "a.shape has 9 dims, want at most 8"},
        {"{\"a\":" TENSOR("\"F32\"", "[1099511627776,1099511627776]", "[0,8]") "}", 8,
         MLXE_E_CORRUPT, "a.shape is too large, its product overflows"},
        {"{\"a\":" TENSOR("\"F32\"", "[2305843009213693954]", "[0,8]") "}", 8, MLXE_E_CORRUPT,
         "a.shape is too large, its product overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 0, MLXE_E_CORRUPT,
         "a.data_offsets is missing"},
        {"{\"a\":" TENSOR("\"F32\"", "[2]", "[0,8,8]") "}", 8, MLXE_E_CORRUPT,
         "a.data_offsets has 3 numbers, want 2"},
        {"{\"a\":" TENSOR("\"F32\"", "[2]", "[8,0]") "}", 8, MLXE_E_CORRUPT,
         "a.data_offsets is [8,0], want begin <= end"},
        {"{\"a\":" TENSOR("\"F32\"", "[2]", "[0,8]") "}", 7, MLXE_E_CORRUPT,
         "a.data_offsets is [0,8], but the file has only 7 bytes of data"},
        {"{\"a\":" TENSOR("\"BF16\"", "[3]", "[0,8]") "}", 8, MLXE_E_CORRUPT,
         "a.data_offsets holds 8 bytes, want 6 (BF16 x 3)"},
        {"{\"b\":" TENSOR("\"U8\"", "[4]", "[2,6]") ",\"a\":" TENSOR("\"U8\"", "[4]", "[0,4]") "}",
         6, MLXE_E_CORRUPT, "b overlaps a: it begins at 2, want 4"},
        {"{\"a\":" TENSOR("\"U8\"", "[4]", "[0,4]") ",\"b\":" TENSOR("\"U8\"", "[1]", "[7,8]") "}",
         8, MLXE_E_CORRUPT, "a gap of 3 bytes before b: it begins at 7, want 4"},
        {"{\"a\":" TENSOR("\"U8\"", "[4]", "[0,4]") "}", 9, MLXE_E_CORRUPT,
         "has 5 bytes of data that belong to no tensor, want 0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char want[300];
        snprintf(want, sizeof want, "m.safetensors: %s", ROWS[i].message);
        if (parse(ROWS[i].header, ROWS[i].data) != ROWS[i].status)
            fail_msg("%s: code %d", ROWS[i].header, err.code);
        assert_string_equal(err.message, want);
        assert_int_equal(err.code, ROWS[i].status);
    }
}

static void test_lengths(void **state)
{
    static const struct {
        uint64_t length, file_bytes;
        size_t head_bytes;
        mlxe_status status;
        const char *message;
    } ROWS[] = {
        {2, 7, 7, MLXE_E_CORRUPT, "has 7 bytes, want 8 and a header"},
        {100000001, UINT64_C(1) << 40, 10, MLXE_E_CORRUPT,
         "header length is 100000001, want at most 100000000"},
        {UINT64_MAX, 10, 10, MLXE_E_CORRUPT,
         "header length is 18446744073709551615, want at most 100000000"},
        {3, 10, 10, MLXE_E_CORRUPT, "header length is 3, but the file has 10 bytes"},
        {2, 10, 9, MLXE_E_ARG, "the header was not read"},
        {2, 10, 4, MLXE_E_ARG, "the header was not read"},
        {2, 10, 10, MLXE_OK, ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        arena mem = {0};
        buf file = {0};
        char want[200];
        mf_tensor *t;
        size_t n;
        add_length(&file, ROWS[i].length);
        buf_add_str(&file, "{}");
        assert_int_equal(
            st_parse("m", file.p, ROWS[i].head_bytes, ROWS[i].file_bytes, &mem, &t, &n, &err),
            ROWS[i].status);
        snprintf(want, sizeof want, "m: %s", ROWS[i].message);
        if (ROWS[i].status) assert_string_equal(err.message, want);
        assert_int_equal(
            st_parse("m", file.p, ROWS[i].head_bytes, ROWS[i].file_bytes, &mem, &t, &n, NULL),
            ROWS[i].status);
        arena_deinit(&mem);
        buf_deinit(&file);
    }
}

/* ---- writing -------------------------------------------------------------------------------- */

static char scratch[200];

static int make_scratch(void **state)
{
    (void)state;
    snprintf(scratch, sizeof scratch, "%s/st.XXXXXX", MLXE_BUILD_DIR);
    return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
    (void)state;
    return rmdir(scratch);
}

static void test_write(void **state)
{
    static const st_entry ENTRIES[] = {
        {"w\"1\xC3\xA4", MF_F32, 2, {2, 3}}, {"empty", MF_BF16, 2, {0, 7}}, {"s", MF_U8, 0, {0}}};
    static const char HEADER[] =
        "{\"__metadata__\":{\"format\":\"mlx\"},"
        "\"w\\\"1\xC3\xA4\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]},"
        "\"empty\":{\"dtype\":\"BF16\",\"shape\":[0,7],\"data_offsets\":[24,24]},"
        "\"s\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[24,25]}}";
    char path[300];
    buf data = {0}, file = {0};
    size_t padded = (sizeof HEADER - 1 + 7) / 8 * 8;
    st_writer *w;
    (void)state;
    snprintf(path, sizeof path, "%s/out.safetensors", scratch);
    add_data(&data, 25);
    assert_int_equal(st_writer_open(path, ENTRIES, 3, &w, &err), MLXE_OK);
    assert_int_equal(st_writer_add(w, data.p, 10, &err), MLXE_OK);
    assert_int_equal(st_writer_commit(w, &err), MLXE_E_STATE);
    assert_non_null(strstr(err.message, ": 15 bytes of its tensors were not given"));
    assert_int_equal(st_writer_add(w, data.p, 16, &err), MLXE_E_STATE);
    assert_non_null(strstr(err.message, ": 16 bytes given, only 15 are left to write"));
    assert_int_equal(st_writer_add(w, data.p + 10, 15, &err), MLXE_OK);
    assert_false(fs_exists(path));
    assert_int_equal(st_writer_commit(w, &err), MLXE_OK);
    st_writer_close(w);
    assert_int_equal(fs_read(path, 0, &file, &err), MLXE_OK);
    assert_int_equal(file.n, 8 + padded + 25);
    assert_int_equal((unsigned char)file.p[0], padded & 0xFF);
    assert_int_equal((unsigned char)file.p[1], padded >> 8);
    assert_memory_equal(file.p + 8, HEADER, sizeof HEADER - 1);
    for (size_t i = sizeof HEADER - 1; i < padded; i++)
        assert_int_equal(file.p[8 + i], ' ');
    assert_memory_equal(file.p + 8 + padded, data.p, 25);
    unlink(path);
    buf_deinit(&data);
    buf_deinit(&file);
}

static void test_write_refuses(void **state)
{
    static const struct {
        st_entry entries[2];
        size_t n;
        const char *message;
    } ROWS[] = {
        {{{"a", MF_F32, 1, {-1}}}, 1, "a has a negative dim"},
        {{{"a", MF_F32, 9, {0}}}, 1, "a has too many dims, want 0..8"},
        {{{"a", (mf_dtype)99, 1, {1}}}, 1, "a has no known dtype"},
        {{{"a", MF_F64, 3, {INT64_MAX, INT64_MAX, 2}}}, 1, "a is too large"},
        {{{"__metadata__", MF_F32, 0, {0}}}, 1, "__metadata__ is no name for a tensor"},
        {{{"a", MF_U8, 0, {0}}, {"a", MF_U8, 0, {0}}},
         2,
         "header: key \"a\" appears twice in one object"},
    };
    char path[300], want[600];
    st_writer *w;
    (void)state;
    snprintf(path, sizeof path, "%s/refused.safetensors", scratch);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_int_equal(st_writer_open(path, ROWS[i].entries, ROWS[i].n, &w, &err), MLXE_E_ARG);
        assert_null(w);
        snprintf(want, sizeof want, "%s: %s", path, ROWS[i].message);
        assert_string_equal(err.message, want);
        assert_false(fs_exists(path));
    }
    /* Closed without commit: nothing is left, which rmdir in the teardown proves. */
    assert_int_equal(st_writer_open(path, ROWS[5].entries, 1, &w, &err), MLXE_OK);
    assert_int_equal(st_writer_add(w, "x", 1, &err), MLXE_OK);
    st_writer_close(w);
    st_writer_close(NULL);
    snprintf(path, sizeof path, "%s/no/such/folder.safetensors", scratch);
    assert_int_equal(st_writer_open(path, ROWS[5].entries, 1, &w, &err), MLXE_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_cases),  cmocka_unit_test(test_messages),
        cmocka_unit_test(test_lengths),       cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_refuses),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
