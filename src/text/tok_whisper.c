/* tok_whisper.c: the tokens that Whisper puts before a text.
 *
 *   <|startoftranscript|> <|LANGUAGE|> <|TASK|> <|notimestamps|> text <|endoftext|>
 *
 * language, task and predict_timestamps are settings; the second and the third token are left out
 * where they are not said, the fourth where timestamps are.
 *
 * Trap: the id of a language is counted from that of the first token, in the order of LANGUAGES,
 * whatever the vocabulary says.
 *
 * Source: transformers 5.23, models/whisper/tokenization_whisper.py (set_prefix_tokens). */
#include "text/tok_files.h"

#include <stdio.h>

/* code:name, */
static const char LANGUAGES[] =
    "en:english,zh:chinese,de:german,es:spanish,ru:russian,ko:korean,fr:french,"
    "ja:japanese,pt:portuguese,tr:turkish,pl:polish,ca:catalan,nl:dutch,ar:arabic,"
    "sv:swedish,it:italian,id:indonesian,hi:hindi,fi:finnish,vi:vietnamese,he:hebrew,"
    "uk:ukrainian,el:greek,ms:malay,cs:czech,ro:romanian,da:danish,hu:hungarian,"
    "ta:tamil,no:norwegian,th:thai,ur:urdu,hr:croatian,bg:bulgarian,lt:lithuanian,"
    "la:latin,mi:maori,ml:malayalam,cy:welsh,sk:slovak,te:telugu,fa:persian,lv:latvian,"
    "bn:bengali,sr:serbian,az:azerbaijani,sl:slovenian,kn:kannada,et:estonian,"
    "mk:macedonian,br:breton,eu:basque,is:icelandic,hy:armenian,ne:nepali,mn:mongolian,"
    "bs:bosnian,kk:kazakh,sq:albanian,sw:swahili,gl:galician,mr:marathi,pa:punjabi,"
    "si:sinhala,km:khmer,sn:shona,yo:yoruba,so:somali,af:afrikaans,oc:occitan,"
    "ka:georgian,be:belarusian,tg:tajik,sd:sindhi,gu:gujarati,am:amharic,yi:yiddish,"
    "lo:lao,uz:uzbek,fo:faroese,ht:haitian creole,ps:pashto,tk:turkmen,nn:nynorsk,"
    "mt:maltese,sa:sanskrit,lb:luxembourgish,my:myanmar,bo:tibetan,tl:tagalog,"
    "mg:malagasy,as:assamese,tt:tatar,haw:hawaiian,ln:lingala,ha:hausa,ba:bashkir,"
    "jw:javanese,su:sundanese,yue:cantonese,";
static const char MORE_NAMES[] =
    "my:burmese,ca:valencian,nl:flemish,ht:haitian,lb:letzeburgesch,ps:pushto,pa:panjabi,"
    "ro:moldavian,ro:moldovan,si:sinhalese,es:castilian,zh:mandarin,";

enum { START, LANGUAGE, TASK, NO_TIMES };

static int same_letters(strv text, strv lower)
{
    if (text.n != lower.n) return 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c >= 'A' && c <= 'Z') c = (char)(c + 32);
        if (c != lower.p[i]) return 0;
    }
    return 1;
}

/* The row of a language by its code or its name; -1: none. code: its code. */
static int find(const char *rows, strv text, strv *code)
{
    int at = 0;
    for (const char *p = rows; *p; at++) {
        size_t width = strcspn(p, ":"), all = strcspn(p, ",");
        *code = strv_from(p, width);
        if (same_letters(text, *code) ||
            same_letters(text, strv_from(p + width + 1, all - width - 1)))
            return at;
        p += all + 1;
    }
    return -1;
}

/* Counted from the first; -1: it is none. */
static int find_language(strv text)
{
    strv code;
    if (find(MORE_NAMES, text, &code) >= 0) text = code;
    return find(LANGUAGES, text, &code);
}

static mlxe_status refuse(const tok_files *f, const char *key, strv text, mlxe_error *err)
{
    return err_set(err, MLXE_E_UNSUPPORTED,
                   "%s: tokenizer_config.json: %s \"%.*s\" is none of WhisperTokenizer", f->folder,
                   key, (int)(text.n > 60 ? 60 : text.n), text.p);
}

mlxe_status tok_whisper_words(tok_files *f, mlxe_error *err)
{
    static const char where[] = "tokenizer_config.json";
    strv language = {NULL, 0}, task = {NULL, 0};
    mlxe_status rc = json_get_str(f->config, where, "language", &language, err);
    if (rc == MLXE_OK) rc = json_get_str(f->config, where, "task", &task, err);
    if (rc) return rc;
    if (language.p && find_language(language) < 0) return refuse(f, "language", language, err);
    if (task.p && !strv_is(task, "transcribe") && !strv_is(task, "translate"))
        return refuse(f, "task", task, err);
    f->words[START] = STRV("<|startoftranscript|>");
    f->words[LANGUAGE] = language;
    if (task.p)
        f->words[TASK] =
            strv_is(task, "translate") ? STRV("<|translate|>") : STRV("<|transcribe|>");
    f->words[NO_TIMES] = STRV("<|notimestamps|>");
    return MLXE_OK;
}

mlxe_status tok_whisper_template(tok_files *f, buf *out, mlxe_error *err)
{
    char before[12], one[40], two[40];
    int times = 0;
    mlxe_status rc = tok_files_bool(f, "predict_timestamps", &times, err);
    if (f->words[LANGUAGE].p && f->word_ids[START] >= 0)
        f->word_ids[LANGUAGE] = f->word_ids[START] + 1 + find_language(f->words[LANGUAGE]);
    snprintf(before, sizeof before, "1%s%s%s", f->words[LANGUAGE].p ? " 2" : "",
             f->words[TASK].p ? " 3" : "", times ? "" : " 4");
    snprintf(one, sizeof one, "%s $A eos", before);
    snprintf(two, sizeof two, "%s $A $B:1 eos:1", before);
    tok_files_template(f, one, two, out);
    return rc;
}
