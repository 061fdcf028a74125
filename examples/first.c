/* first.c: a whole program on MLXEngine: opens a model, asks, and prints the answer as it comes.
 *
 *   cc first.c -o first $(pkg-config --cflags --libs mlxengine)
 *   ./first "Tell me a short story about a fox."
 *
 * Without an argument it asks the pocket model that ships with MLXEngine. A second argument is the
 * folder of another model. */
#include <mlxengine.h>

#include <stdio.h>

static void on_event(void *user, const mlxe_event *event)
{
    (void)user;
    if (event->type == MLXE_EVENT_TEXT) {
        fwrite(event->text, 1, event->text_bytes, stdout);
        fflush(stdout);
    }
    if (event->type == MLXE_EVENT_DONE)
        printf("\n[%u tokens, %.1f tokens/s]\n", (unsigned)event->stats->generated_tokens,
               event->stats->decode_tps);
}

int main(int argc, char **argv)
{
    const char *prompt = argc > 1 ? argv[1] : "Tell me a short story about a fox.";
    const char *folder = argc > 2 ? argv[2] : "pocket-llm";
    mlxe_engine *engine = NULL;
    mlxe_model *model = NULL;
    mlxe_session *chat = NULL;
    mlxe_job *job = NULL;
    mlxe_error err;

    mlxe_status status = mlxe_engine_open(NULL, &engine, &err);
    if (!status) status = mlxe_model_open(engine, folder, NULL, &model, &err);
    if (!status) status = mlxe_session_open(model, NULL, &chat, &err);
    if (!status) status = mlxe_session_ask(chat, prompt, MLXE_AUTO, NULL, &job, &err);
    if (!status) status = mlxe_job_run(job, on_event, NULL, &err);
    if (status) fprintf(stderr, "first: %s\n%s\n", err.message, err.hint);

    mlxe_job_close(job);
    mlxe_session_close(chat);
    mlxe_model_close(model);
    mlxe_engine_close(engine);
    return mlxe_status_exit(status);
}
