/* test_model_files.c: model folders: which weights are found, what is refused and how it is named,
 * the bytes of tensors, and that opening reads headers only. */
#define _XOPEN_SOURCE 700
#include "files/model_files.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "files/safetensors.h"

static mlxe_error err;
static char folder[300];

/* ---- a scratch folder for each test --------------------------------------------------------- */

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "%s/mf.XXXXXX", MLXE_BUILD_DIR);
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *place)
{
    (void)info;
    (void)type;
    (void)place;
    return remove(path);
}

static int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* Borrowed until the next call. */
static const char *in_folder(const char *name)
{
    static char path[700];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text)
{
    assert_int_equal(fs_replace(in_folder(name), text, strlen(text), &err), MLXE_OK);
}

/* A shard of U16 tensors [2], named in a list with spaces; element i of tensor k is 10 k + i. */
static void put_shard(const char *file, const char *names)
{
    char copy[200];
    st_entry entries[8];
    uint16_t data[16];
    size_t n = 0;
    st_writer *w;
    snprintf(copy, sizeof copy, "%s", names);
    for (char *name = strtok(copy, " "); name; name = strtok(NULL, " "), n++) {
        entries[n] = (st_entry){name, MF_U16, 1, {2}};
        data[2 * n] = (uint16_t)(10 * n);
        data[2 * n + 1] = (uint16_t)(10 * n + 1);
    }
    assert_int_equal(st_writer_open(in_folder(file), entries, n, &w, &err), MLXE_OK);
    assert_int_equal(st_writer_add(w, data, n * 4, &err), MLXE_OK);
    assert_int_equal(st_writer_commit(w, &err), MLXE_OK);
    st_writer_close(w);
}

static void put_index(const char *weight_map)
{
    char text[2000];
    snprintf(text, sizeof text, "{\"metadata\":{\"total_size\":1},\"weight_map\":%s}", weight_map);
    put("model.safetensors.index.json", text);
}

static model_files *open_ok(fs_mode mode)
{
    model_files *f;
    if (mf_open(folder, mode, &f, &err)) fail_msg("%s", err.message);
    return f;
}

/* want: the message, in which '@' stands for the folder. */
static void assert_fails(mlxe_status status, const char *want)
{
    model_files *f = (model_files *)(void *)&err;
    char full[1500] = "";
    for (size_t n = 0; *want && n < sizeof full - 1; want++) {
        if (*want == '@')
            n += (size_t)snprintf(full + n, sizeof full - n, "%s", folder);
        else
            full[n++] = *want;
    }
    assert_int_equal(mf_open(folder, FS_AUTO, &f, &err), status);
    assert_null(f);
    assert_string_equal(err.message, full);
    assert_int_equal(mf_open(folder, FS_AUTO, &f, NULL), status);
}

static void assert_data(model_files *f, const char *name, int first)
{
    const mf_tensor *t = mf_find(f, name);
    const void *p = NULL;
    uint16_t got[2];
    assert_non_null(t);
    assert_string_equal(t->name.p, name);
    assert_int_equal(t->dtype, MF_U16);
    assert_int_equal(t->n_dims, 1);
    assert_int_equal(t->shape[0], 2);
    assert_int_equal(t->bytes, 4);
    assert_int_equal(mf_data(f, t, &p, &err), MLXE_OK);
    memcpy(got, p, sizeof got);
    assert_int_equal(got[0], first);
    assert_int_equal(got[1], first + 1);
}

/* ---- what is found -------------------------------------------------------------------------- */

static void test_single(void **state)
{
    static const fs_mode MODES[] = {FS_AUTO, FS_MAP, FS_READ};
    (void)state;
    put("config.json", "{\"model_type\":\"llama\",\"eps\":1e-6}");
    put_shard("model.safetensors", "a b lm_head.weight");
    put_shard("model-00001-of-00001.safetensors", "not_read");
    put("model.safetensors.index.json", "not read");
    for (size_t i = 0; i < 3; i++) {
        model_files *f = open_ok(MODES[i]);
        assert_string_equal(mf_folder(f), folder);
        assert_true(strv_is(json_str(json_get(mf_config(f), "model_type")), "llama"));
        assert_null(mf_generation_config(f));
        assert_int_equal(mf_count(f), 3);
        assert_int_equal(mf_weight_bytes(f), 12);
        assert_string_equal(mf_file_name(f, 0), "model.safetensors");
        assert_null(mf_file_name(f, 1));
        assert_null(mf_file_name(f, -1));
        assert_data(f, "a", 0);
        assert_data(f, "b", 10);
        assert_data(f, "lm_head.weight", 20);
        assert_null(mf_find(f, "c"));
        assert_null(mf_find(f, ""));
        assert_ptr_equal(mf_at(f, 1), mf_find(f, "b"));
        assert_null(mf_at(f, 3));
        mf_close(f);
    }
    mf_close(NULL);
}

static void test_sharded(void **state)
{
    model_files *f;
    (void)state;
    put("config.json", "{}");
    put("generation_config.json", "{\"eos_token_id\":[1,2]}");
    put_shard("model-00002-of-00002.safetensors", "c unlisted");
    put_shard("model-00001-of-00002.safetensors", "a b");
    put_shard("model-extra.safetensors", "not_listed_shard");
    put_index("{\"c\":\"model-00002-of-00002.safetensors\",\"a\":\"elsewhere\","
              "\"b\":\"model-00001-of-00002.safetensors\","
              "\"a\":\"model-00001-of-00002.safetensors\"}");
    put_shard("elsewhere", "z"); /* the last member counts, but its file is listed all the same */
    f = open_ok(FS_AUTO);
    assert_int_equal(json_len(json_get(mf_generation_config(f), "eos_token_id")), 2);
    assert_int_equal(mf_count(f), 5);
    assert_data(f, "a", 0);
    assert_data(f, "b", 10);
    assert_data(f, "c", 0);
    assert_data(f, "unlisted", 10);
    assert_null(mf_find(f, "not_listed_shard"));
    assert_string_equal(mf_file_name(f, mf_find(f, "a")->file), "model-00001-of-00002.safetensors");
    assert_string_equal(mf_file_name(f, mf_find(f, "c")->file), "model-00002-of-00002.safetensors");
    mf_close(f);
}

static void test_no_index(void **state)
{
    model_files *f;
    (void)state;
    put("config.json", "{}");
    put_shard("model-2.safetensors", "b");
    put_shard("model-1.safetensors", "a");
    put_shard("consolidated.safetensors", "other");
    put("pytorch_model.bin", "x");
    f = open_ok(FS_READ);
    assert_int_equal(mf_count(f), 2);
    assert_string_equal(mf_file_name(f, 0), "model-1.safetensors");
    assert_string_equal(mf_file_name(f, 1), "model-2.safetensors");
    mf_close(f);
}

static void test_config_only(void **state)
{
    model_files *f;
    (void)state;
    put("config.json", "{\"a\":NaN}");
    assert_int_equal(mf_open_config(folder, &f, &err), MLXE_OK);
    assert_int_equal(mf_count(f), 0);
    assert_null(mf_find(f, "a"));
    assert_int_equal(json_typeof(json_get(mf_config(f), "a")), JSON_FLOAT);
    mf_close(f);
}

static void test_many_tensors(void **state)
{
    enum { N = 20000 };
    st_entry *entries = calloc(N, sizeof *entries);
    char(*names)[24] = calloc(N, sizeof *names);
    unsigned char *data = malloc(N);
    model_files *f;
    st_writer *w;
    (void)state;
    put("config.json", "{}");
    for (int i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "layers.%d.weight", i);
        entries[i] = (st_entry){names[i], MF_U8, 1, {1}};
        data[i] = (unsigned char)(i % 251);
    }
    assert_int_equal(st_writer_open(in_folder("model.safetensors"), entries, N, &w, &err), MLXE_OK);
    assert_int_equal(st_writer_add(w, data, N, &err), MLXE_OK);
    assert_int_equal(st_writer_commit(w, &err), MLXE_OK);
    st_writer_close(w);
    f = open_ok(FS_MAP);
    assert_int_equal(mf_count(f), N);
    for (int i = 0; i < N; i++) {
        const mf_tensor *t = mf_find(f, names[i]);
        const void *p;
        assert_non_null(t);
        assert_int_equal(mf_data(f, t, &p, &err), MLXE_OK);
        assert_int_equal(*(const unsigned char *)p, i % 251);
    }
    assert_null(mf_find(f, "layers.20000.weight"));
    mf_close(f);
    free(entries);
    free(names);
    free(data);
}

/* Data that begins at an odd byte: the bytes come aligned, the same ones each time. */
static void test_unaligned(void **state)
{
    static const char HEADER[] = "{\"u\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},"
                                 "\"f\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[1,9]}}";
    float values[2] = {1.5f, -2.0f};
    const void *p, *again;
    model_files *f;
    buf file = {0};
    (void)state;
    put("config.json", "{}");
    buf_add_char(&file, (char)(sizeof HEADER - 1));
    buf_add(&file, "\0\0\0\0\0\0", 7);
    buf_add_str(&file, HEADER);
    buf_add_char(&file, 7);
    buf_add(&file, values, sizeof values);
    assert_int_equal(fs_replace(in_folder("model.safetensors"), file.p, file.n, &err), MLXE_OK);
    for (int mode = FS_AUTO; mode <= FS_READ; mode++) {
        f = open_ok((fs_mode)mode);
        assert_int_not_equal(mf_find(f, "f")->offset % 4, 0);
        assert_int_equal(mf_data(f, mf_find(f, "f"), &p, &err), MLXE_OK);
        assert_int_equal((uintptr_t)p % 4, 0);
        assert_memory_equal(p, values, sizeof values);
        assert_int_equal(mf_data(f, mf_find(f, "f"), &again, &err), MLXE_OK);
        assert_ptr_equal(p, again);
        mf_close(f);
    }
    buf_deinit(&file);
}

/* A weight file of 1 TiB that holds nothing: opening must not touch the data. */
static void test_reads_headers_only(void **state)
{
    char header[200], path[700];
    uint64_t bytes = UINT64_C(1) << 40;
    unsigned char length[8] = {0};
    model_files *f;
    int fd, n;
    (void)state;
    put("config.json", "{}");
    n = snprintf(header, sizeof header,
                 "{\"huge\":{\"dtype\":\"U8\",\"shape\":[%llu],\"data_offsets\":[0,%llu]}}",
                 (unsigned long long)bytes, (unsigned long long)bytes);
    length[0] = (unsigned char)n;
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    fd = open(path, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, length, 8), 8);
    assert_int_equal(write(fd, header, (size_t)n), n);
    if (ftruncate(fd, (off_t)(bytes + 8 + (uint64_t)n))) {
        close(fd);
        print_message("needs a file system with sparse files of 1 TiB\n");
        skip();
    }
    close(fd);
    f = open_ok(FS_AUTO);
    assert_int_equal(mf_weight_bytes(f), bytes);
    mf_close(f);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void test_paths(void **state)
{
    static const struct {
        const char *path;
        mlxe_status status;
        const char *message;
    } ROWS[] = {
        {"", MLXE_E_ARG, "model folder: the path is empty"},
        {"/no/such/folder", MLXE_E_NOT_FOUND, "/no/such/folder: no such folder"},
        {"/no/model.gguf", MLXE_E_UNSUPPORTED, "/no/model.gguf: gguf files are not supported"},
        {"/dev/null", MLXE_E_UNSUPPORTED, "/dev/null: is a file, want a model folder"},
    };
    model_files *f;
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        assert_int_equal(mf_open(ROWS[i].path, FS_AUTO, &f, &err), ROWS[i].status);
        assert_null(f);
        assert_string_equal(err.message, ROWS[i].message);
        assert_int_equal(mf_open_config(ROWS[i].path, &f, &err), ROWS[i].status);
    }
}

static void test_configs(void **state)
{
    (void)state;
    assert_fails(MLXE_E_NOT_FOUND, "@/config.json: cannot open, No such file or directory");
    put("config.json", "{\n  \"a\": 1,\n}");
    assert_fails(MLXE_E_CORRUPT, "config.json: line 2, column 9: trailing comma is not allowed");
    put("config.json", "");
    assert_fails(MLXE_E_CORRUPT, "config.json: line 1, column 1: empty, want a JSON value");
    put("config.json", "[]");
    assert_fails(MLXE_E_CORRUPT, "config.json: is an array, want an object");
    put("config.json", "{}");
    put("generation_config.json", "1");
    assert_fails(MLXE_E_CORRUPT, "generation_config.json: is an integer, want an object");
}

static void test_other_formats(void **state)
{
    static const struct {
        const char *file, *format;
    } ROWS[] = {
        {"pytorch_model.bin", "PyTorch pickle"},
        {"model.gguf", "gguf"},
        {"weights.npz", "NumPy"},
        {"consolidated.safetensors", "other"},
        {"tf_model.h5", "TensorFlow"},
    };
    char want[200];
    (void)state;
    put("config.json", "{}");
    put("training_args.bin", "x");
    assert_fails(MLXE_E_NOT_FOUND, "@: no weights, want model.safetensors");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        put(ROWS[i].file, "x");
        snprintf(want, sizeof want, "@: no model.safetensors; %s (%s weights) is not supported",
                 ROWS[i].file, ROWS[i].format);
        assert_fails(MLXE_E_UNSUPPORTED, want);
        assert_int_not_equal(err.hint[0], 0);
        unlink(in_folder(ROWS[i].file));
    }
}

static void test_index_defects(void **state)
{
#define INDEX "model.safetensors.index.json: "
    static const struct {
        const char *map, *message;
    } ROWS[] = {
        {"null", INDEX "weight_map is missing, want an object of file names"},
        {"{}", INDEX "weight_map is empty, want an object of file names"},
        {"[]", INDEX "weight_map is an array, want an object"},
        {"{\"a\":1}", INDEX "weight_map.a is an integer, want a string"},
        {"{\"a\":\"../x\"}", INDEX "weight_map.a is \"../x\", want the plain name of a file"},
        {"{\"a\":\"/etc/x\"}", INDEX "weight_map.a is \"/etc/x\", want the plain name of a file"},
        {"{\"a\":\"..\"}", INDEX "weight_map.a is \"..\", want the plain name of a file"},
        {"{\"a\":\"\"}", INDEX "weight_map.a is \"\", want the plain name of a file"},
        {"{\"a\":\"s1\\u0000\"}", INDEX "weight_map.a is \"s1\", want the plain name of a file"},
        {"{\"a\":\"s1\",\"b\":\"s3\",\"c\":\"s3\"}",
         INDEX "shard s3 is missing, it holds 2 tensors (b)"},
        {"{\"a\":\"s2\"}", "s2: a is not in it, but model.safetensors.index.json says so"},
        {"{\"a\":\"s1\",\"q\":\"s1\"}",
         "s1: q is not in it, but model.safetensors.index.json says so"},
        {"{\"a\":\"s1\",\"b\":\"s2\",\"a\":\"s2\"}",
         "s2: a is not in it, but model.safetensors.index.json says so"},
        {"{\"a\":\"s1\",\"c\":\"dup\"}", "s1: a is in dup too, want one of them"},
    };
    (void)state;
    put("config.json", "{}");
    put_shard("s1", "a");
    put_shard("s2", "b");
    put_shard("dup", "c a");
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        put_index(ROWS[i].map);
        assert_fails(MLXE_E_CORRUPT, ROWS[i].message);
    }
    put("model.safetensors.index.json", "{\"weight_map\":");
    assert_fails(MLXE_E_CORRUPT, INDEX "line 1, column 15: unexpected end of data");
    put("model.safetensors.index.json", "3");
    assert_fails(MLXE_E_CORRUPT, INDEX "is an integer, want an object");
}

static void test_shard_defects(void **state)
{
    (void)state;
    put("config.json", "{}");
    put("model.safetensors", "");
    assert_fails(MLXE_E_CORRUPT, "model.safetensors: has 0 bytes, want 8 and a header");
    put("model.safetensors", "version https://git-lfs.github.com/spec/v1");
    assert_fails(MLXE_E_CORRUPT, "model.safetensors: is a git-lfs pointer, want the weights");
    assert_string_equal(err.hint, "run git lfs pull in the folder");
    put("model.safetensors", "<!DOCTYPE html>");
    assert_fails(MLXE_E_CORRUPT, "model.safetensors: header length is 5789751444030890300, want at "
                                 "most 100000000");
    unlink(in_folder("model.safetensors"));
    assert_int_equal(mkdir(in_folder("model.safetensors"), 0755), 0);
    assert_fails(MLXE_E_IO, "@/model.safetensors: is not a regular file");
    rmdir(in_folder("model.safetensors"));
    /* A named pipe would block whoever opens it. */
    assert_int_equal(mkfifo(in_folder("model.safetensors"), 0644), 0);
    assert_fails(MLXE_E_IO, "@/model.safetensors: is not a regular file");
}

/* The file is cut or grows between mf_open and mf_data. */
static void test_changed_file(void **state)
{
    model_files *f;
    const void *p = &f;
    uint64_t bytes;
    char want[800];
    (void)state;
    put("config.json", "{}");
    put_shard("model.safetensors", "a");
    assert_int_equal(fs_size(in_folder("model.safetensors"), &bytes, &err), MLXE_OK);
    f = open_ok(FS_MAP);
    put("model.safetensors", "short");
    assert_int_equal(mf_data(f, mf_find(f, "a"), &p, &err), MLXE_E_CORRUPT);
    assert_null(p);
    snprintf(want, sizeof want, "%s/model.safetensors: has 5 bytes, want %llu", folder,
             (unsigned long long)bytes);
    assert_string_equal(err.message, want);
    unlink(in_folder("model.safetensors"));
    assert_int_equal(mf_data(f, mf_find(f, "a"), &p, &err), MLXE_E_NOT_FOUND);
    mf_close(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_folder, remove_folder)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_single),
        TEST(test_sharded),
        TEST(test_no_index),
        TEST(test_config_only),
        TEST(test_many_tensors),
        TEST(test_unaligned),
        TEST(test_reads_headers_only),
        TEST(test_paths),
        TEST(test_configs),
        TEST(test_other_formats),
        TEST(test_index_defects),
        TEST(test_shard_defects),
        TEST(test_changed_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
