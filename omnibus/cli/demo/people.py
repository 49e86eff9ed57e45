"""Invented people, and what they write: several languages, two kinds of trouble."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Literal

Topic = Literal["billing", "general"]


@dataclass(frozen=True)
class Person:
    """Somebody invented. `handle` is ASCII and unique within a run."""

    name: str
    handle: str
    language: str

    @property
    def address(self) -> str:
        return f"{self.handle}@example.org"


_NAMES = {
    "pt": ("Ana Exemplo", "Bruno Modelo", "Carla Amostra", "Davi Ensaio"),
    "en": ("Ann Sample", "Bob Placeholder", "Cleo Instance", "Dan Specimen"),
    "es": ("Ana Muestra", "Benito Ejemplo", "Carmen Modelo", "Diego Prueba"),
    "de": ("Anna Beispiel", "Bernd Muster", "Clara Probe", "Dieter Versuch"),
    "fr": ("Anne Exemple", "Bastien Modèle", "Chloé Essai", "Denis Témoin"),
    "ja": ("見本 花子", "例示 太郎"),
}
_OPENINGS: dict[tuple[str, Topic], tuple[str, ...]] = {
    ("pt", "billing"): ("A fatura deste mês veio em dobro.", "O boleto não foi reconhecido, já faz três dias."),
    ("pt", "general"): ("Bom dia! O aplicativo não abre desde ontem.", "Como faço para trocar o endereço de entrega?"),
    ("en", "billing"): ("My invoice is wrong, I was charged twice.", "Could I get a refund for the payment in March?"),
    ("en", "general"): ("Hello, the app has not opened since yesterday.", "Where can I change my delivery address?"),
    ("es", "billing"): ("La factura de este mes llegó por duplicado.", "¿Cuándo llega el reembolso de mi pago?"),
    ("es", "general"): ("Hola, la aplicación no abre desde ayer.", "¿Cómo cambio la dirección de entrega?"),
    ("de", "general"): ("Guten Tag, die App startet seit gestern nicht mehr.", "Wie ändere ich meine Lieferadresse?"),
    ("fr", "general"): ("Bonjour, l'application ne démarre plus depuis hier.", "Comment changer mon adresse ?"),
    ("ja", "general"): ("こんにちは。昨日からアプリが起動しません。", "配送先の住所を変更したいです。"),
}
_MORE = {
    "pt": ("Já tentei reiniciar.", "Obrigado pela ajuda 🙏", "Segue o número do pedido."),
    "en": ("I have restarted it already.", "Thanks for looking into it 🙏", "Here is the order number."),
    "es": ("Ya lo reinicié.", "Gracias por la ayuda 🙏", "Este es el número del pedido."),
    "de": ("Neu gestartet habe ich schon.", "Danke für die Hilfe 🙏", "Hier ist die Bestellnummer."),
    "fr": ("Je l'ai déjà redémarrée.", "Merci de votre aide 🙏", "Voici le numéro de commande."),
    "ja": ("再起動はもう試しました。", "よろしくお願いします🙏", "注文番号です。"),
}


def person(random: Random, run: str, number: int) -> Person:
    """The person of that number in a run."""
    language = random.choices(tuple(_NAMES), weights=(30, 30, 20, 8, 8, 4))[0]
    return Person(random.choice(_NAMES[language]), f"demo-{run}-{number:03d}", language)


def opening(random: Random, who: Person) -> str:
    """What they write first."""
    topics: list[Topic] = [topic for language, topic in _OPENINGS if language == who.language]
    return random.choice(_OPENINGS[who.language, random.choice(topics)])


def more(random: Random, who: Person) -> str:
    """What they write next."""
    return random.choice(_MORE[who.language])
