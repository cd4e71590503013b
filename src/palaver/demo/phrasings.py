"""How users ask for a tool: patterns per intent, with alternatives and slots.

`[a|b|]` picks one alternative, `{name}` is a slot. A pattern that starts with `!` is an
imperative and may take a prefix such as "can you ".
"""
# ruff: noqa: E501  (tables of phrases are easier to keep in long lines)

from __future__ import annotations

import random
import re
from functools import cache

PREFIXES = (
    "please ", "can you ", "could you ", "would you ", "will you ", "can you please ",
    "could you please ", "hey, ", "hi, ", "ok, ", "okay, ", "now ", "now please ", "next, ",
    "then ", "i want you to ", "i need you to ", "i would like you to ", "i'd like you to ",
    "go ahead and ", "just ", "quickly ", "try to ", "let's ", "so, ", "well, ", "alright, ",
    "pls ", "kindly ", "hello, please ", "help me to ", "next please ", "and now ", "first ",
    "you should ", "it would be nice if you could ", "do me a favour and ", "please help me ",
)  # fmt: skip
SUFFIXES = (
    " please", ", please", " for me", " for me please", " now", " thanks", ", thanks",
    ", thank you", " if you can", " quickly", " right away", " pls", " for a moment", " again",
)  # fmt: skip
QUESTION_LEADS = ("hey, ", "hi, ", "so, ", "ok, ", "please tell me: ", "quick question: ", "well, ",
                  "tell me, ", "one question: ", "and ", "now, ")  # fmt: skip

_THE_FILE = "[|the file |file |my file |our file |this file: |the text file |this: ]"
_A_FOLDER = "[{folder}|the folder {folder}|the {folder} folder|folder {folder}|the directory {folder}|the {folder} directory|my {folder} folder]"
_HERE = "[this folder|the current folder|the current directory|this directory|here|my working folder|the project|the workspace|this place]"

CALLS: dict[str, tuple[str, ...]] = {
    "calc": (
        "what is {expr}", "what's {expr}", "how much is {expr}", "!compute {expr}",
        "!calculate {expr}", "!work out {expr}", "!evaluate {expr}", "{expr}", "{expr} = ?",
        "{expr} =", "{expr} is [how much|what]", "!tell me what {expr} is", "!solve {expr}",
        "what does {expr} [equal|give|come to|make|evaluate to]", "what do you get for {expr}",
        "i need the [result|value|answer] of {expr}", "the [result|value|answer] of {expr}",
        "what is the [result|value|answer|outcome] of {expr}", "!give me {expr}",
        "!give me the [result|value|answer] of {expr}", "!do the [maths|math|sum|calculation]: {expr}",
        "[math|maths|calculation|sum|arithmetic]: {expr}", "do you know {expr}",
        "[any idea|do you know] what {expr} is", "!find {expr}", "!figure out {expr}",
        "how [big|large] is {expr}", "!use python to [compute|calculate|work out] {expr}",
        "!use python for {expr}", "!check {expr}", "!show me {expr}", "!quickly do {expr}",
        "[can|could] you [calculate|compute|do] {expr}", "!print {expr}", "if i take {expr}, what is it",
        "my homework says {expr}", "i wonder what {expr} is", "what would {expr} be",
        "!determine {expr}", "!count {expr}", "and {expr}", "[what about|how about] {expr}",
    ),
    "python": (
        "!run {code}", "!execute {code}", "!run this [python|code|python code|line|snippet|script]: {code}",
        "!execute this [python|code|python code|line|snippet|script]: {code}", "!evaluate {code}",
        "!run {code} in python", "!execute {code} [in|with] python", "!run the [code|python code|line|snippet] {code}",
        "!use python to run {code}", "python: {code}", "!try {code} in python", "!call python with {code}",
        "what does {code} [print|output|return|give|do] in python", "what is the output of {code}",
        "what does python [say|print|give|answer] for {code}", "what happens if i run {code}",
        "!start python with {code}", "in python, {code}", "!run in python: {code}", "{code}",
        "!execute the following: {code}", "!run the following [code|python|python code]: {code}",
        "!show me the output of {code}", "!test {code} in python", "!test this code: {code}",
        "!let python [run|execute|evaluate] {code}", "!put {code} through python", "what will {code} print",
        "here is [some|my] code: {code}", "the code is {code}, [run|execute] it", "!try this: {code}",
        "!feed {code} to python", "!pass {code} to python", "i want to see what {code} [gives|prints]",
    ),
    "shell": (
        "!run {command}", "!execute {command}", "!run the command {command}", "!execute the command {command}",
        "!run {command} in [the|a] [shell|terminal]", "!execute {command} in [the|a] [shell|terminal]",
        "shell: {command}", "!run this [command|shell command|in the shell|in the terminal]: {command}",
        "!type {command} [in|into] the [shell|terminal]", "!use the shell to run {command}", "{command}",
        "what does {command} [print|output|say|show|give]", "what is the output of {command}",
        "!call the shell with {command}", "!start {command}", "!launch {command}", "terminal: {command}",
        "!show me the output of {command}", "!try {command} in the [shell|terminal]", "$ {command}",
        "!execute this: {command}", "!run the following [command|shell command]: {command}", "!do {command}",
        "!do a {command}", "in the [shell|terminal]: {command}", "!let the shell [run|do|execute] {command}",
        "!issue {command}", "!issue the command {command}", "command: {command}", "!invoke {command}",
        "!open a [shell|terminal] and run {command}", "what happens with {command} in the shell",
    ),
    "read": (
        "!read " + _THE_FILE + "{path}", "!open " + _THE_FILE + "{path}", "!show me " + _THE_FILE + "{path}",
        "!show " + _THE_FILE + "{path}", "!display " + _THE_FILE + "{path}", "!print " + _THE_FILE + "{path}",
        "what is in " + _THE_FILE + "{path}", "what's in " + _THE_FILE + "{path}",
        "what does " + _THE_FILE + "{path} [say|contain|hold]", "!read me " + _THE_FILE + "{path}",
        "what stands in " + _THE_FILE + "{path}", "what is written in " + _THE_FILE + "{path}",
        "!show me [what is|what's] [in|inside|written in] " + _THE_FILE + "{path}",
        "!show me the [contents|content|text|lines] of " + _THE_FILE + "{path}",
        "!give me the [contents|content|text|lines] of " + _THE_FILE + "{path}",
        "!print the [contents|content|text] of " + _THE_FILE + "{path}", "!look into " + _THE_FILE + "{path}",
        "!have a look at " + _THE_FILE + "{path}", "!take a look at " + _THE_FILE + "{path}",
        "!look at " + _THE_FILE + "{path}", "!tell me [what is|what's] in " + _THE_FILE + "{path}",
        "!load " + _THE_FILE + "{path}", "!view " + _THE_FILE + "{path}", "!see what " + _THE_FILE + "{path} says",
        "i want to [see|read|know what is in] " + _THE_FILE + "{path}", "i need [to see|to read|] " + _THE_FILE + "{path}",
        "the contents of " + _THE_FILE + "{path}", "{path}: what does it say", "!go through " + _THE_FILE + "{path}",
        "!output " + _THE_FILE + "{path}", "!get " + _THE_FILE + "{path}", "!fetch " + _THE_FILE + "{path}",
        "!pull up " + _THE_FILE + "{path}", "!bring up " + _THE_FILE + "{path}", "!check " + _THE_FILE + "{path}",
        "!dump " + _THE_FILE + "{path}", "there is a file {path}, [read|open|show] it", "what is {path} about",
        "[what about|and|how about] " + _THE_FILE + "{path}", "!use read_file on {path}",
    ),
    "lines": (
        "!read lines {start} to {end} of {path}", "!show [me |]lines {start} to {end} of {path}",
        "!print lines {start} to {end} of {path}", "!read {path} from line {start} to [line |]{end}",
        "!show [me |]{path} from line {start} to [line |]{end}", "!read {path}, lines {start} to {end}",
        "what is in lines {start} to {end} of {path}", "!open {path} from line {start} to [line |]{end}",
        "!show [me |]{path} lines {start} to {end}", "lines {start} to {end} of {path}",
        "!give me lines {start} to {end} of {path}", "{path}, lines {start} to {end}",
    ),
    "list": (
        "!list [the |all |all the |][files|entries|contents|things] in " + _A_FOLDER,
        "!list {folder}", "!list [the folder|the directory|folder|directory] {folder}",
        "!show [me |][the |all |all the |][files|entries|contents|things] in " + _A_FOLDER,
        "what is in " + _A_FOLDER, "what's in " + _A_FOLDER, "what files are in " + _A_FOLDER,
        "which files are in " + _A_FOLDER, "what files does {folder} [have|contain|hold]",
        "what is there in " + _A_FOLDER, "what is inside " + _A_FOLDER, "what's inside " + _A_FOLDER,
        "!tell me [what is|what's|what files are|which files are] in " + _A_FOLDER,
        "!give me [a list of |]the files in " + _A_FOLDER, "!look into " + _A_FOLDER,
        "!look in " + _A_FOLDER, "!see what is in " + _A_FOLDER, "!show [me |]" + _A_FOLDER,
        "!show [me |]what [is|there is] in " + _A_FOLDER, "!show [me |]what " + _A_FOLDER + " [has|contains|holds]",
        "do i have [files|anything|something] in " + _A_FOLDER, "are there [any |]files in " + _A_FOLDER,
        "which things are in " + _A_FOLDER, "!enumerate the files in " + _A_FOLDER, "contents of " + _A_FOLDER,
        "!name the files in " + _A_FOLDER, "[what about|and|how about] " + _A_FOLDER, "!use list_files on {folder}",
        "i want to [see|know] what is in " + _A_FOLDER, "i need [a list of |to see |]the files in " + _A_FOLDER,
        "!check [what is|what's] in " + _A_FOLDER, "!browse " + _A_FOLDER, "files in " + _A_FOLDER,
        "!print the names of the files in " + _A_FOLDER, "what does " + _A_FOLDER + " [contain|hold]",
    ),
    "here": (
        "!list [the |all |all the |my |]files", "what files are [there|here]", "what files do i have [|here]",
        "which files are [there|here]", "!show me [the |all |all the |my ]files", "what is in " + _HERE,
        "!list [the |all |all the |my |]files in " + _HERE, "!show [me |]the files in " + _HERE,
        "what's in " + _HERE, "!list " + _HERE, "!list everything", "!list everything in " + _HERE,
        "!show me what is in " + _HERE, "!look around", "what is around here", "what do we have here",
        "are there [any |]files here", "!show me the [folder|directory]", "what can you see in " + _HERE,
        "!tell me what files [there are|are here|are there]", "!give me a list of [the |my |]files",
        "which files does " + _HERE + " [have|contain|hold]", "!list [the |this |]directory",
        "!use list_files", "!name [the |all |my ]files", "where am i and what is here", "files here",
    ),
    "write": (
        "!write {q} to {path}", "!write {q} into {path}", "!write {q} to " + _THE_FILE + "{path}",
        "!save {q} to {path}", "!save {q} in {path}", "!save {q} as {path}", "!store {q} in {path}",
        "!put {q} in {path}", "!put {q} into {path}", "!put {q} into " + _THE_FILE + "{path}",
        "!create {path} with [|the text |the content |the line ]{q}", "!make {path} with [|the text |the content ]{q}",
        "!create a file {path} with [|the text |the content |the line ]{q}", "!write to {path}: {q}",
        "!create a [new |]file called {path} [with|that says|containing|that contains] {q}",
        "!create a [new |]file named {path} [with|that says|containing|that contains] {q}",
        "!make a [new |]file {path} [with|that says|containing|that contains] {q}", "!save to {path}: {q}",
        "!write a file {path} [with|that says|containing|that contains] {q}", "!in {path}, write {q}",
        "!save the [text|line|words|sentence|note] {q} [to|in|as|into] {path}", "!note {q} in {path}",
        "!write the [text|line|words|sentence|note] {q} [to|in|into] {path}", "!write down {q} in {path}",
        "!store the [text|line|words|sentence|note] {q} [in|as] {path}", "!keep {q} in {path}",
        "!use write_file to put {q} in {path}", "!fill {path} with {q}", "!record {q} in {path}",
        "i want {path} to [say|contain|hold] {q}", "{path} should [say|contain|hold] {q}",
        "!set the [content|contents|text] of {path} to {q}", "!new file {path}: {q}", "!dump {q} into {path}",
        "i need a file {path} [with|that says|containing] {q}", "!make {path} say {q}", "!let {path} say {q}",
        "!add a file {path} [with|that says|containing] {q}", "!enter {q} into {path}", "!overwrite {path} with {q}",
    ),
    "search": (
        "!search for {pat} in {where}", "!search {where} for {pat}", "!find {pat} in {where}",
        "!look for {pat} in {where}", "!grep for {pat} in {where}", "!grep {pat} in {where}",
        "where is {pat} [used|mentioned|defined|written|found] in {where}", "where does {pat} [occur|appear|stand] in {where}",
        "which files in {where} [contain|mention|have|use] {pat}", "!find the [word|text|string|name] {pat} in {where}",
        "!search for the [word|text|string|name] {pat} in {where}", "!find all [uses|places|lines with|mentions] of {pat} in {where}",
        "!look for the [word|text|string|name] {pat} in {where}", "is {pat} [used |mentioned |]anywhere in {where}",
        "does {where} [contain|mention|have|use] {pat}", "!find where {pat} is [used|mentioned|defined|written] in {where}",
        "!check [if|whether] {pat} [is|occurs|appears] in {where}", "!search {pat} in {where}",
        "!look through {where} for {pat}", "!go through {where} and find {pat}", "!scan {where} for {pat}",
        "!show me where {pat} is [used|mentioned|defined|written] in {where}", "i am looking for {pat} in {where}",
        "!locate {pat} in {where}", "!use search_files to find {pat} in {where}", "in {where}, where is {pat}",
        "!in {where}, [find|look for|search for] {pat}", "is there [a|any] {pat} in {where}",
    ),
    "seek": (
        "!search for {pat}", "!find {pat}", "!look for {pat}", "!grep for {pat}", "!grep {pat}",
        "where is {pat} [used|mentioned|defined|written]", "where does {pat} [occur|appear|stand]",
        "which files [contain|mention|have|use] {pat}", "!find all [uses|places|mentions] of {pat}",
        "!search [all |my |the |all my ]files for {pat}", "!search for {pat} in [all |my |the |all my ]files",
        "!find {pat} in [my|the|all|all my] files", "!look for {pat} in [my|the|all|all my] files",
        "!find the [word|text|string|name] {pat}", "!search for the [word|text|string|name] {pat}",
        "is {pat} [used|mentioned] [anywhere|somewhere]", "!find out where {pat} is [used|mentioned|defined]",
        "!search everything for {pat}", "!find every place that [mentions|uses|has] {pat}", "!locate {pat}",
        "!show me where {pat} is [used|mentioned|defined]", "!scan [my|the|all] files for {pat}",
        "which of [my|the] files [contain|mention|use] {pat}", "in which files is {pat}",
    ),
}  # fmt: skip

FIXED: dict[str, tuple[str, ...]] = {
    "date": (
        "what time is it", "what's the time", "what is the time", "what is the [date|current date|current time]",
        "what's the [date|current date|current time]", "!tell me the [time|date|current time|current date]",
        "what day is it", "what day is [it |]today", "what date is [it|today]", "do you know [the time|what time it is]",
        "how late is it", "!show me the [time|date|clock]", "what is today's date", "!check the [time|clock|date]",
        "i need the [time|date|current time]", "!give me the [time|date|current time]", "time", "date and time",
        "which day is today", "what is the date today", "what time do we have", "!look at the clock",
    ),
    "whoami": (
        "who am i", "what is my user name", "what user am i", "which user am i", "!tell me my user name",
        "what is my login", "!show [me |]my user name", "under which user do [i|you] run", "what is my username",
        "which account am i using", "!tell me who i am", "what's my user name", "!give me my login name",
    ),
    "pwd": (
        "where am i", "what is the current [folder|directory|path]", "which [folder|directory] am i in",
        "what [folder|directory] is this", "!show [me |]the current [path|folder|directory]",
        "!tell me the [current|working] [folder|directory|path]", "in which [folder|directory] are we",
        "what is my working [folder|directory]", "!print the working [folder|directory]",
        "which path are we in", "where are we", "what path am i in", "what's the working [folder|directory]",
    ),
    "df -h": (
        "how much [disk space|space|disk] is [left|free]", "how full is [the|my] disk", "is [the|my] disk full",
        "!show [me |]the [disk space|free space|disk usage]", "!check the [disk space|free space|disk usage|disk]",
        "how much [disk space|space] do i have", "!tell me the [disk space|free disk space]", "disk space",
        "how much free space is on the disk", "do i have [enough |]disk space", "disk usage",
        "how much room is left on the disk",
    ),
    "git status": (
        "what is the git status", "!show [me |]the git status", "!check the git status", "what did i change in git",
        "!show [me |]the state of the [repository|repo]", "are there uncommitted changes", "is the [repository|repo] clean",
        "what's the [state|status] of the [repository|repo]", "which files [are|have] changed in git",
        "!tell me the status of the [repository|repo]", "do i have uncommitted changes", "git state",
        "what has changed in the [repository|repo]",
    ),
    "free -h": (
        "how much memory is [left|free|used]", "how much ram is [left|free|used]", "!show [me |]the [memory|memory usage|free memory]",
        "!check the [memory|ram|memory usage]", "how much [memory|ram] do i have", "memory usage",
        "how much [memory|ram] does this [machine|computer] have", "is the memory full", "free memory",
        "!tell me the free memory",
    ),
    "uptime": (
        "how long has [this machine|this computer|the computer|the system] been [running|up|on]", "what is the uptime",
        "!show [me |]the uptime", "what is the load", "how busy is [this machine|this computer|the computer]",
        "!check the [load|uptime]", "since when is [this machine|this computer|the computer] [up|on|running]", "!tell me the uptime",
    ),
    "uname -a": (
        "which [system|operating system|kernel] is this", "what [system|operating system|kernel] do [i|you] run on",
        "!show [me |]the kernel version", "what is the kernel version", "which kernel [do i have|is running]",
        "!tell me the [system|operating system|kernel]", "what operating system is this", "!check the kernel version",
    ),
    "ps aux": (
        "which processes are running", "!show [me |]the [processes|running processes]", "!list the [processes|running processes]",
        "what is running on [this|my] [machine|computer]", "what processes are [there|running]", "!check the running processes",
        "which programs are running", "!tell me what is running", "!show me all processes",
    ),
}  # fmt: skip

IMPOSSIBLE: tuple[str, ...] = (
    "!send [a mail|an email|a message|mail] to {name}", "!email {name}", "!call {name}", "!write {name} a message",
    "!play [some music|a song|music|the radio|a film]", "!turn [on|off] the [light|lights|radio|heating|television]",
    "!set [a timer|an alarm] for {n} [minutes|hours]", "!wake me at {n}", "!remind me to call {name}",
    "!remind me in {n} [minutes|hours|days]", "!book a [flight|table|hotel|room|train] [for {name}|to {city}|in {city}|for {n} people]",
    "!order [a pizza|food|a taxi|flowers]", "!buy [a ticket|tickets|milk|bread] [for me|]", "!draw [a picture|a cat|a house|a tree]",
    "!make [a picture|an image|a photo|a video|a song] of [a cat|a house|{city}]", "!take a [photo|picture|screenshot]",
    "!browse the web", "!search the [web|internet] for {name}", "!look up {city} on the internet", "!open the website of {name}",
    "what is the weather [like |][in {city}|today|tomorrow]", "how is the weather in {city}", "will it rain [in {city}|today|tomorrow]",
    "what is the news [today|]", "!tell me the news", "what are the news", "!translate this [into|to] [german|french|spanish]",
    "how warm is it in {city}", "what is on television", "!post this on the internet", "!download a [film|song|game]",
    "!tweet this", "!print this on my printer", "!pay the bill", "!make me a [coffee|sandwich|tea]", "!record a video",
    "!add a meeting with {name} to my calendar", "what is in my calendar", "do i have new mail", "!check my mail",
    "!read my mail", "!text {name}", "!navigate to {city}", "what is the price of [gold|oil|bitcoin]", "!drive me to {city}",
)  # fmt: skip

_TOKEN = re.compile(r"[\[\]|]|[^\[\]|]+")


@cache
def parse(pattern: str) -> tuple[object, ...]:
    """Parse a pattern into a tuple of strings and lists of alternatives (nested)."""
    stack: list[list[list[object]]] = [[[]]]
    for piece in _TOKEN.findall(pattern):
        if piece == "[":
            stack.append([[]])
        elif piece == "|" and len(stack) > 1:
            stack[-1].append([])
        elif piece == "]":
            choices = stack.pop()
            stack[-1][-1].append([tuple(c) for c in choices])
        else:
            stack[-1][-1].append(piece)
    if len(stack) != 1:
        raise ValueError(f"unbalanced brackets in {pattern!r}")
    return tuple(stack[0][0])


def pick(rng: random.Random, node: tuple[object, ...]) -> str:
    """Choose alternatives at random and join them; slots stay as they are."""
    out: list[str] = []
    for part in node:
        if isinstance(part, list):
            out.append(pick(rng, part[int(rng.random() * len(part))]))
        else:
            out.append(str(part))
    return "".join(out)


def phrase(rng: random.Random, patterns: tuple[str, ...]) -> str:
    """Write one request, slots unfilled, with a prefix, a suffix and an end mark at times."""
    pattern = patterns[int(rng.random() * len(patterns))]
    imperative = pattern.startswith("!")
    text = pick(rng, parse(pattern.removeprefix("!")))
    lead = rng.random()
    prefix = ""
    if imperative and lead < 0.42:
        prefix = rng.choice(PREFIXES)
    elif not imperative and lead < 0.12 and text[0] not in "{$":
        prefix = rng.choice(QUESTION_LEADS)
    suffix = rng.choice(SUFFIXES) if imperative and rng.random() < 0.15 else ""
    text = prefix + text + suffix
    question = text.startswith(("wh", "how", "is ", "are ", "do ", "does ", "can ", "could ", "wi"))
    end = rng.random()
    if end < 0.45:
        text += "?" if question else "."
    elif end < 0.48:
        text += "!"
    return text
