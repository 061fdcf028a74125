/* describe.c: JSON objects as lines for people.
 *
 * It knows no key: what a later library adds to a description is shown without a change here. */
#include "describe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDEST_NAME = 24 };

/* A value on one line; strings without quotes, nested objects as "a=1 b=2". */
static void add_value(cli_text *out, yyjson_val *value)
{
    size_t i, n;
    yyjson_val *key, *item;
    if (yyjson_is_str(value) || yyjson_is_raw(value)) {
        cli_text_add(out, yyjson_get_str(value) ? yyjson_get_str(value) : yyjson_get_raw(value),
                     yyjson_get_len(value));
    } else if (yyjson_is_null(value)) {
        cli_text_add(out, "-", 1);
    } else if (yyjson_is_bool(value)) {
        cli_text_add(out, yyjson_is_true(value) ? "yes" : "no", yyjson_is_true(value) ? 3 : 2);
    } else if (yyjson_is_arr(value)) {
        yyjson_arr_foreach(value, i, n, item)
        {
            if (i > 0) cli_text_add(out, " ", 1);
            add_value(out, item);
        }
    } else {
        yyjson_obj_foreach(value, i, n, key, item)
        {
            if (i > 0) cli_text_add(out, "  ", 2);
            cli_text_add(out, yyjson_get_str(key), yyjson_get_len(key));
            cli_text_add(out, "=", 1);
            add_value(out, item);
        }
    }
}

/* title (may be NULL) stands before the value. */
static void print_row(const char *name, size_t width, const char *title, yyjson_val *value)
{
    cli_text text = {0};
    cli_text_add(&text, "", 0);
    if (title) {
        cli_text_add(&text, title, strlen(title));
        cli_text_add(&text, "  ", 2);
    }
    add_value(&text, value);
    out_printf("%-*s", (int)width, name);
    out_model_text(text.data, text.bytes);
    out_string("\n");
    cli_text_deinit(&text);
}

/* A list of objects, or an object of objects. */
static int is_table(yyjson_val *value)
{
    yyjson_val *first = yyjson_arr_get_first(value);
    if (yyjson_is_obj(value) && yyjson_obj_size(value) > 0) {
        yyjson_obj_iter it = yyjson_obj_iter_with(value);
        first = yyjson_obj_iter_get_val(yyjson_obj_iter_next(&it));
    }
    return yyjson_is_obj(first);
}

static void print_table(const char *name, size_t width, yyjson_val *table)
{
    size_t i, n;
    yyjson_val *key, *item;
    yyjson_arr_foreach(table, i, n, item) { print_row(i ? "" : name, width, NULL, item); }
    yyjson_obj_foreach(table, i, n, key, item)
    {
        print_row(i ? "" : name, width, yyjson_get_str(key), item);
    }
}

void describe_print(yyjson_val *object, const char *skip)
{
    size_t i, n, width = 0;
    yyjson_val *key, *value;
    yyjson_obj_foreach(object, i, n, key, value)
    {
        if (yyjson_get_len(key) + 2 > width && yyjson_get_len(key) <= WIDEST_NAME)
            width = yyjson_get_len(key) + 2;
    }
    yyjson_obj_foreach(object, i, n, key, value)
    {
        char name[WIDEST_NAME + 40];
        if (skip && yyjson_equals_str(key, skip)) continue;
        const char *text = yyjson_get_str(key);
        snprintf(name, sizeof name, "%.60s:", text ? text : "");
        if (is_table(value))
            print_table(name, width, value);
        else
            print_row(name, width, NULL, value);
    }
}
