"""The wordings of the instruction tasks: many for each, so that a model learns to read them, as FLAN-T5 did."""

LAYOUTS = [
    "{instruction}\n\n{dialogue}\n\n{cue} ",
    "{instruction}\n\n{dialogue}\n\n{cue} ",
    "{instruction}\n\n{dialogue}",
    "{dialogue}\n\n{instruction}",
    "{dialogue}\n\n{instruction} {cue} ",
    "Read the following conversation.\n\n{dialogue}\n\n{instruction} {cue} ",
    "Dialogue:\n\n{dialogue}\n\n{instruction}",
]

SUMMARIZE = [
    "Summarize the following conversation.",
    "Summarize this dialogue.",
    "Give a summary of the following conversation.",
]


def summarize(*styles: str) -> list[str]:
    """Instructions that ask for a summary of a certain kind, said in front."""
    return [f"{style} {plainly}" for style in styles for plainly in SUMMARIZE]


# "Summarize" alone calls up a topic or a headline, as little as a model says that has seen no such summaries;
# what is said in front of it calls up all else, so that the same words stand before texts of many kinds.
WORDINGS: dict[str, tuple[list[str], list[str]]] = {
    "question": (
        [
            "{q}",
            "Answer the question about the following conversation. {q}",
            "Question: {q}",
            "According to the dialogue, answer this. {q}",
            "Use the conversation to answer. {q}",
            "{q} Answer in a few words.",
        ],
        ["Answer:", "A:", "The answer is"],
    ),
    "topic": (
        [
            "What is the topic of the following conversation?",
            "Name the topic of this dialogue.",
            "What is this conversation about?",
            "In two or three words, what do they talk about?",
            "Give the subject of the following dialogue.",
            "Which topic fits the conversation best?",
            *SUMMARIZE,
            *summarize("In two words."),
        ],
        ["Topic:", "Subject:", "It is about", "Summary:"],
    ),
    "headline": (
        [
            "Write a headline for the following conversation.",
            "Give this dialogue a short title.",
            "Summarize the conversation in a headline.",
            "Sum up the following dialogue in a few words.",
            "What would a newspaper write above this conversation?",
            "Find a title for the following conversation.",
            "Give a summary of a few words.",
            "Summarize the following conversation as briefly as you can.",
            *SUMMARIZE,
            *summarize("As a headline.", "Very briefly."),
        ],
        ["Headline:", "Title:", "Short summary:", "In short:", "Summary:"],
    ),
    "want": (
        [
            "What does {asker} want?",
            "What does the {role} want in the following conversation?",
            "What is {asker} after?",
            "Name what the {role} asks for.",
            "What is the wish of {asker}?",
            "Say what {asker} hopes to get.",
            *summarize("Only the wish of {asker}."),
        ],
        ["Wish:", "Answer:", "{asker} wants", "Summary:"],
    ),
    "end": (
        [
            "How does the following conversation end?",
            "What is the result of this conversation?",
            "What happens in the end?",
            "Tell the outcome of the dialogue in one sentence.",
            "What do they settle on at last?",
            "How is the matter settled?",
            *summarize("Only the end."),
        ],
        ["Result:", "Outcome:", "In the end,", "Summary:"],
    ),
    "tell": (
        [
            "Tell what happens in the following conversation.",
            "Retell this dialogue.",
            "What happens between the {role} and the {other}?",
            "Describe the following conversation in two sentences.",
            "Report the conversation to somebody who was not there.",
            "Explain what the two people talk about and how it ends.",
            *summarize("In a sentence or two.", "First the wish, then the end."),
        ],
        ["Report:", "What happens:", "Story:", "Summary:"],
    ),
    "report": (
        [
            "Write a short report about the following conversation.",
            "Report in the past tense what happened.",
            "Tell a colleague what happened between the {role} and the {other}.",
            "Write a short news item about this dialogue.",
            "What happened here? Tell it in the past tense.",
            *summarize("As a report.", "In the past tense.", "In whole sentences."),
        ],
        ["Report:", "News:", "What happened:", "Summary:"],
    ),
    "now": (
        [
            "Tell the following conversation in the present tense.",
            "Report this conversation as if it happened right now.",
            "Write the minutes of the following conversation.",
            "Who wants what, and how does it turn out? Tell it in the present tense.",
            "Write down for others what the {role} and the {other} talk about.",
            *summarize("In the present tense.", "As minutes.", "As it happens."),
        ],
        ["Minutes:", "Present tense:", "What happens:", "Summary:"],
    ),
    "diary": (
        [
            "Write what {writer} notes in the diary that evening.",
            "You are {writer}. Tell your diary about the following conversation.",
            "How does {writer} tell a friend about this later?",
            "Retell the dialogue in the words of {writer}.",
            *summarize("From the diary of {writer}.", "In the words of {writer}."),
        ],
        ["Diary:", "Dear diary,", "{writer}'s diary:", "Summary:"],
    ),
    "details": (
        [
            "List the details of the following conversation.",
            "Write down the facts that were settled.",
            "Take notes on this dialogue.",
            "Which details are mentioned? List them with their names.",
            "Make a list of the important facts.",
            *summarize("As a list."),
        ],
        ["Details:", "Notes:", "Facts:", "Summary:"],
    ),
    "detail": (
        [
            "What is the {slot}?",
            "Find the {slot} in the following conversation.",
            "Which {slot} do they mention in the end?",
            "Fill in the form. {slot}:",
            "Note the {slot}.",
        ],
        ["Answer:", "{slot}:", "It is"],
    ),
    "dropped": (
        [
            "Does anything change during the conversation? Say what.",
            "Which detail was first different?",
            "What was changed, and from what to what?",
            "Is there a change of plan in the following dialogue?",
            "Find what was corrected.",
        ],
        ["Change:", "Answer:", "Changed:"],
    ),
    "outcome": (
        [
            "Is it agreed, changed, refused, failed, postponed, informed, promised, decided or solved?",
            "Classify the outcome of the following conversation.",
            "In one word, how does it turn out?",
            "Choose a label for the result of this dialogue.",
        ],
        ["Label:", "Outcome in a word:", "Class:"],
    ),
    "role": (
        [
            "Who is {person}?",
            "What is the role of {person} in the following conversation?",
            "Say who {person} is.",
            "Is {person} the {role} or the {other}?",
        ],
        ["Role:", "Answer:", "{person} is"],
    ),
    "speaker": (
        [
            'Who says "{quote}"?',
            'Find the speaker of these words: "{quote}"',
            'Which person said "{quote}"?',
            'Name the one who says: "{quote}"',
        ],
        ["Speaker:", "Answer:"],
    ),
    "reply": (
        [
            'What does the other one reply to "{quote}"?',
            'What is said right after "{quote}"?',
            'Find the answer to: "{quote}"',
            'Copy the turn that follows "{quote}"',
        ],
        ["Reply:", "Next:"],
    ),
    "continue": (
        [
            "Continue the conversation.",
            "What is said next?",
            "Write the next turn of the following dialogue.",
            "How does {person} go on?",
            "Give the next line.",
        ],
        ["{person}:", "Next line:"],
    ),
    "blanks": (
        [
            "Fill the blanks.",
            "Fill in the missing words of the following conversation.",
            "Which words are missing?",
            "Complete the dialogue.",
            "Restore the gaps.",
        ],
        ["Missing:", "Blanks:"],
    ),
    "order": (
        [
            "Put these turns in order. {mixed}",
            "In which order are these said? {mixed}",
            "Sort the lines as in the conversation. {mixed}",
            "Order the following lines. {mixed}",
        ],
        ["Order:", "Sorted:"],
    ),
    "several": (
        [
            "Answer these questions. {listed}",
            "{listed}",
            "Go through the list. {listed}",
            "Work on these points about the dialogue. {listed}",
        ],
        ["Answers:", "List:"],
    ),
}

TELLINGS = [
    "{a} wants {want}. In the end, {end}.",
    "{a} wants {want}, and in the end {end}.",
    "{a} talks to {b} and would like {want}. It turns out that {end}.",
    "{a} comes to {b} with a wish: {want}. After some talk, {end}.",
]
