"""What calls and plans will take, before they are made."""
