"""What Answerdesk is about: accounts, chats, turns, knowledge and the agents. No web framework, no SQL, no SDK."""
